"""A session's pins find its files again, from wherever they are read."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.config import load_host
from bot.config.model_paths import model_paths
from bot.config.toml import toml_text
from bot.sessions.pins import pinned_host, session_pins
from tests.support.bots import write_bot
from tests.support.bundles import strategy_with_bundle, write_small_bundle


def test_pins_of_a_host_with_models_lead_back_to_them_and_to_the_same_hash(tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "models" / "two")
    path = write_bot(tmp_path, tmp_path / "catalog", ("holder",), kind="paper")
    strategy = strategy_with_bundle(f"models/two/{bundle.path.name}")
    (tmp_path / "holder.toml").write_text(toml_text(strategy.model_dump(mode="json")))
    host = load_host(path)
    pins = json.loads(json.dumps(session_pins(host, "s", datetime(2026, 1, 1, tzinfo=UTC))))
    old = dict(pins)
    del old["model_paths"]  # earlier versions had them among the settings
    old["settings"]["strategies"][0]["policy"]["path"] = f"models/two/{bundle.path.name}"

    for written in (pins, old):
        again = pinned_host(written)

        assert again.sha256 == host.sha256
        assert model_paths(again.strategies[0].config) == model_paths(strategy)
    moved = tmp_path / "moved"
    bundle.path.parent.parent.rename(moved)
    (tmp_path / "holder.toml").write_text(
        toml_text(strategy_with_bundle(f"moved/two/{bundle.path.name}").model_dump(mode="json"))
    )
    assert load_host(path).sha256 == host.sha256


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
