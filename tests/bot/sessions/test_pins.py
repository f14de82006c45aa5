"""A session's pins find its files again, from wherever they are read."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.config import load_host
from bot.sessions.pins import pinned_host, session_pins
from tests.support.bots import write_bot


@pytest.mark.parametrize("are_old", [False, True], ids=["as they are written", "as they were before"])
def test_pins_of_a_host_named_from_its_own_folder_lead_back_to_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, are_old: bool
) -> None:
    path = write_bot(tmp_path, tmp_path / "catalog", ("holder",), kind="paper")
    monkeypatch.chdir(tmp_path)
    host = load_host(path.relative_to(tmp_path))
    pins = session_pins(host, "s", datetime(2026, 1, 1, tzinfo=UTC))
    if are_old:  # relative to where the daemon was started, and so is who reads them
        files = [str(one.path) for one in host.strategies]
        pins |= {"config": str(host.path), "strategy_files": files, "catalog": str(host.catalog_path)}
    else:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")

    again = pinned_host(pins)

    assert again.sha256 == host.sha256
    assert again.catalog_path == tmp_path / "catalog"
    assert again.path == path
    assert [one.path.exists() for one in again.strategies] == [True]
