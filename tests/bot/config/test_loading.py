from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.config import HostKind, load_host, load_strategy
from bot.config.documents import canonical_json
from strategies.config import StrategyConfig
from tests.support.configs import HOST, STRATEGY, write_configs
from tests.support.data import ROOT

SHIPPED_HOSTS = ("backtest", "paper", "live")


@pytest.mark.parametrize("name", SHIPPED_HOSTS)
def test_shipped_host_file_loads_and_is_of_its_kind(name: str) -> None:
    host = load_host(ROOT / "configs" / f"{name}.toml")

    assert host.settings.kind is HostKind(name)
    assert [one.path.is_relative_to(ROOT / "configs" / "strategies") for one in host.strategies]


def test_shipped_live_host_is_not_armed() -> None:
    assert not load_host(ROOT / "configs" / "live.toml").settings.live.armed


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "strategies").glob("*.toml")), ids=lambda path: path.stem
)
def test_shipped_strategy_file_loads_and_is_named_like_its_file(path: Path) -> None:
    assert load_strategy(path).config.name == path.stem


def test_good_host_names_its_strategies_in_order(tmp_path: Path) -> None:
    host = HOST.replace('["strategies/one.toml"]', '["strategies/two.toml", "strategies/one.toml"]')
    halves = STRATEGY.replace("1_000.0", "500.0")
    path = write_configs(tmp_path, host=host, one=halves, two=halves.replace('"one"', '"two"'))

    loaded = load_host(path)

    assert [one.config.name for one in loaded.strategies] == ["two", "one"]
    assert loaded.strategies[1].path == tmp_path / "strategies" / "one.toml"
    assert loaded.catalog_path == tmp_path.parent / "catalog"


def test_override_replaces_the_value_of_the_file(tmp_path: Path) -> None:
    path = write_configs(tmp_path)

    host = load_host(path, {"replay.speed": "max", "data.start": "2023-01-01"})

    assert host.settings.replay.speed == "max"
    assert host.settings.data.start_ns == 1_672_531_200_000_000_000
    assert host.sha256 != load_host(path).sha256


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1970-01-02", 86_400_000_000_000),
        ("2023-01-01T00:00:00Z", 1_672_531_200_000_000_000),
        ("2023-01-01T01:00:00+01:00", 1_672_531_200_000_000_000),
        ("2023-01-01T00:00:00.000001", 1_672_531_200_000_001_000),
    ],
)
def test_start_is_read_as_utc_nanoseconds(tmp_path: Path, text: str, expected_ns: int) -> None:
    host = load_host(write_configs(tmp_path), {"data.start": text})

    assert host.settings.data.start_ns == expected_ns


@pytest.mark.parametrize(
    ("days", "hours", "interval", "expected"),
    [
        (365, 24.0, "1-MINUTE", 525_600.0),
        (365, 24.0, "1-DAY", 365.0),
        (252, 6.5, "1-MINUTE", 98_280.0),
        (252, 6.5, "1-DAY", 252.0),
        (365, 24.0, "30-SECOND", 1_051_200.0),
        (365, 24.0, "4-HOUR", 2_190.0),
    ],
)
def test_bars_per_year_follow_the_calendar(
    tmp_path: Path, days: int, hours: float, interval: str, expected: float
) -> None:
    overrides = {"venue.trading_days_per_year": days, "venue.trading_hours_per_day": hours}

    venue = load_host(write_configs(tmp_path), overrides).settings.venue

    assert venue.bars_per_year(interval) == expected


def test_hash_ignores_comments_order_and_spelled_out_defaults(tmp_path: Path) -> None:
    same = """
        strategies = ["strategies/one.toml"]
        kind = "paper" # a comment
        replay = { at_end = "stop", speed = 60 }

        [venue]
        starting_balance = 1000
        name = "DEMO"
        """

    sha256 = load_host(write_configs(tmp_path)).sha256

    assert load_host(write_configs(tmp_path, host=same)).sha256 == sha256


def test_hash_ignores_the_order_of_parameters(tmp_path: Path) -> None:
    one_way = STRATEGY.replace("period = 1", "period = 1, offset = 2")
    other_way = STRATEGY.replace("period = 1", "offset = 2, period = 1")

    sha256 = load_host(write_configs(tmp_path, one=one_way)).sha256

    assert load_host(write_configs(tmp_path, one=other_way)).sha256 == sha256


def test_hash_ignores_where_files_lie(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()

    sha256 = load_host(write_configs(here)).sha256

    assert load_host(write_configs(there), {"data.catalog": "/elsewhere"}).sha256 == sha256
    moved = HOST.replace("strategies/one.toml", "strategies/moved.toml")
    assert load_host(write_configs(there, host=moved, moved=STRATEGY)).sha256 == sha256


def test_hash_changes_with_any_value_of_host_or_strategy(tmp_path: Path) -> None:
    hashes = {
        load_host(write_configs(tmp_path, host=host, one=strategy)).sha256
        for host, strategy in [
            (HOST, STRATEGY),
            (HOST.replace("60.0", "61.0"), STRATEGY),
            (HOST, STRATEGY.replace("0.5", "0.6")),
            (HOST, STRATEGY.replace("period = 1", "period = 2")),
        ]
    }

    assert len(hashes) == 4


def test_configuration_cannot_be_changed_after_it_was_hashed(tmp_path: Path) -> None:
    host = load_host(write_configs(tmp_path))

    with pytest.raises(ValidationError, match="frozen"):
        host.settings.replay.speed = 1.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        host.sha256 = ""  # type: ignore[misc]


def test_hashed_document_validates_to_the_same_configuration(tmp_path: Path) -> None:
    config = load_strategy(write_configs(tmp_path).parent / "strategies" / "one.toml").config

    assert StrategyConfig.model_validate_json(canonical_json(config.model_dump(mode="json"))) == config
