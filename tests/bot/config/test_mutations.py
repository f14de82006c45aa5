"""Ten thousand spoilt configurations: each is refused by name, or is a paper host; none trades live."""

import json
import math
import random
import tomllib
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bot.cli.run import load_daemon_host
from bot.config import HostKind
from bot.exit_codes import ExitCode, ending_of
from strategies.errors import ConfigError
from tests.support.data import ROOT

MUTATIONS = 10_000
HOSTS = ("live.toml", "paper.toml")
STRATEGIES = ("donchian_btcusdt.toml", "donchian_regime_demo.toml", "ppo_hmm_demo.toml")
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 2**63, -(2**63), 10**40, 0.0, -0.0, 1e308, -1e308, 5e-324, math.nan,
    math.inf, -math.inf, "", " ", "0", "1e9", "live", "paper", "LIVE", "true", "\0", "\u202e", "Ünïcødé",
    "🚀", "../..", "/dev/null", "x" * 300, "2024-01-01", "${HOME}", "nan", [], [[]], [0], ["live"], {},
    {"": {}}, {"armed": True},
    {"kind": "live"}, [{"kind": "live"}], {"a": {"b": {"c": {"d": [1, {"e": 2}]}}}},
]  # fmt: skip
KNOWN = (
    "kind", "live", "armed", "adapter", "testnet", "venue", "strategies", "data", "replay", "speed", "name",
    "capital_quote", "instruments", "policy", "path", "regime", "columns", "guardrails", "api", "jobs",
    "runs",
)  # fmt: skip


def toml(value: Any) -> str:
    """A value as TOML, tables in a line."""
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case float():
            return repr(value)
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return str(value)


def text_of(document: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in document.items())


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with a key or an index of it."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


def misspelt(draw: random.Random, word: str) -> str:
    at = draw.randrange(len(word) + 1)
    return draw.choice(
        [word[:at] + word[at + 1 :], word[:at] + draw.choice("xé_-. ") + word[at:], word.upper()]
    )


def mutate(draw: random.Random, document: dict[str, Any]) -> None:
    """Spoil one place of a document."""
    found = places(document)
    if not found:
        document["kind"] = "live"
        return
    holder, key = draw.choice(found)
    how = draw.randrange(7)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict) and isinstance(key, str):
        holder[misspelt(draw, key)] = holder.pop(key)
    elif how == 2 and isinstance(holder, dict):
        holder[draw.choice(KNOWN)] = draw.choice(STRANGE)
    elif how == 3:
        other, place = draw.choice(found)
        holder[key] = json.loads(json.dumps(other[place], default=str))
    elif how == 4 and isinstance(holder[key], str):
        holder[key] = misspelt(draw, holder[key])
    elif how == 5 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] *= draw.choice([-1, 0, 1e-12, 1e12, 10**30])
    elif how == 6:
        document["kind"] = draw.choice(["live", "paper", "backtest"])
        document["live"] = {"armed": True, "adapter": "binance", "testnet": draw.choice([True, False])}
    else:
        holder[key] = draw.choice(STRANGE)


def spoil(draw: random.Random, text: str) -> bytes:
    """Spoil some bytes of a text."""
    content = bytearray(text.encode())
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(content))
        content[at : at + draw.randrange(3)] = draw.choice(
            [b"", b"\xff", b"\0", b'"', b"[", b"=", b"\n", b"live"]
        )
    return bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configurations that come with Argonaut, to be spoilt."""
    (tmp_path / "strategies").mkdir()
    (tmp_path / "bundles").symlink_to(ROOT / "configs" / "bundles")
    for name in (*HOSTS, *(f"strategies/{name}" for name in STRATEGIES)):
        (tmp_path / name).write_bytes((ROOT / "configs" / name).read_bytes())
    return tmp_path


def ending(host: Path, spoilt: Path) -> str:
    """What `argonaut run` makes of a host file; anything else than these two is the test's failure."""
    try:
        found = load_daemon_host(host, {})
    except ConfigError as error:
        refused = ending_of(error)
    else:
        assert found.settings.kind is HostKind.PAPER
        return "paper"
    code, told = refused
    assert code is ExitCode.CONFIG
    assert str(host) in told or str(spoilt) in told, told
    assert all(line.strip() for line in told.splitlines())
    return "live refused" if "this would trade live" in told else "refused"


def test_ten_thousand_spoilt_configurations_are_refused_by_name_or_trade_on_paper(folder: Path) -> None:
    draw, endings = random.Random(2_026), Counter[str]()
    good = {name: (folder / name).read_text() for name in HOSTS} | {
        f"strategies/{name}": (folder / "strategies" / name).read_text() for name in STRATEGIES
    }
    documents = {name: tomllib.loads(text) for name, text in good.items()}

    for _ in range(MUTATIONS):
        host = draw.choice(HOSTS)
        spoilt = draw.choice([host, *documents[host]["strategies"]])
        if draw.random() < 0.15:
            content = spoil(draw, good[spoilt])
        else:
            document = deepcopy(documents[spoilt])
            for _ in range(draw.choice([1, 1, 1, 2, 4])):
                mutate(draw, document)
            content = text_of(document).encode()
        (folder / spoilt).write_bytes(content)
        try:
            endings[ending(folder / host, folder / spoilt)] += 1
        except BaseException:
            print(f"{host}: {spoilt} was\n{content!r}")  # noqa: T201 - what is needed to do it again
            raise
        (folder / spoilt).write_text(good[spoilt])

    assert endings.total() == MUTATIONS
    # Each of the three is met often, so that none is believed without a trial.
    assert min(endings[kind] for kind in ("refused", "live refused", "paper")) > 300, endings
