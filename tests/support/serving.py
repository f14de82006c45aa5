"""A paper daemon with its tokens and its port: what tests of the interface and of the dashboard ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ops.api.roles import Role
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess
from tests.support.operators import make_tokens


class Serving(NamedTuple):
    """A daemon that answers."""

    daemon: DaemonProcess
    tokens: dict[Role, str]
    """One of each role."""
    url: str


@contextmanager
def serving(
    place: Path,
    market: Path,
    *,
    speed: int,
    until: tuple[str, ...],
    open_to_read: bool = False,
    description: str | None = None,
) -> Iterator[Serving]:
    """Start it, with `wanderer` and `breakout`; it is stopped at the end.

    Args:
        place: Where its files are; what is in ``var`` stays.
        market: The catalog.
        speed: How many times as fast as the bars came.
        until: What it has to have said before it is used.
        open_to_read: Whether anybody may look.
        description: Of `breakout`.
    """
    state_dir = place / "var"
    state_dir.mkdir(mode=0o700, exist_ok=True)
    made, _ = make_tokens(state_dir, *Role)
    host = write_bot(place, market, ("wanderer", "breakout"), kind="paper")
    more = "open_to_read = true\n" if open_to_read else ""
    host.write_text(host.read_text().replace("[api]\n", f"[api]\ntokens = true\n{more}"))
    if description is not None:
        strategy = place / "breakout.toml"
        strategy.write_text(f"description = '''{description}'''\n{strategy.read_text()}")
    with DaemonProcess(host, state_dir, "--speed", speed) as daemon:
        daemon.ready()
        daemon.until(lambda: all(word in daemon.said for word in until))
        url: str = daemon.ask("status", "--json").document()["api_url"]
        yield Serving(daemon, dict(zip(Role, made, strict=True)), url)
