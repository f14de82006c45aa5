"""Bundles: every byte counts, what differs is refused, what is written can be traded."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.instruments import find_spec
from bot.assembly import build_pipeline, trading_rules
from bot.config import load_strategy
from ml.bundles import strategy_toml
from strategies.bundle import Bundle, open_bundle
from strategies.config import ActionMap, StrategyConfig
from strategies.errors import ConfigError
from tests.support.bundles import strategy_with_bundle, write_small_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_small_bundle(tmp_path / "models", score=1.5)


def build(path: Path) -> None:
    """Build the stages of a strategy file."""
    loaded = load_strategy(path)
    rules = [trading_rules(find_spec(name), may_short=False) for name in loaded.config.instruments]
    build_pipeline(loaded, rules, 525_600.0)


def forge(bundle: Bundle, name: str, content: bytes) -> None:
    """Change a file and the manifest with it, as somebody who means to."""
    (bundle.path / name).write_bytes(content)
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (bundle.path / "manifest.json").write_text(json.dumps(manifest))


def test_equal_contents_have_one_id_and_one_place_and_leave_nothing_else(tmp_path: Path) -> None:
    first, again = write_small_bundle(tmp_path / "m"), write_small_bundle(tmp_path / "m")
    other = write_small_bundle(tmp_path / "m", seed=1)

    assert first == again
    assert first.bundle_id != other.bundle_id
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == sorted(
        [first.bundle_id[:12], other.bundle_id[:12]]
    )


def test_id_is_the_hash_of_the_manifest_that_names_every_file(bundle: Bundle) -> None:
    manifest = (bundle.path / "manifest.json").read_bytes()

    assert bundle.bundle_id == hashlib.sha256(manifest).hexdigest()
    assert set(json.loads(manifest)["files"]) == {path.name for path in bundle.path.iterdir()} - {
        "manifest.json"
    }


def test_bundle_can_be_traded_from_its_own_strategy_file(bundle: Bundle) -> None:
    build(bundle.path / "strategy.toml")


def test_policy_is_named_after_the_whole_bundle(bundle: Bundle) -> None:
    loaded = load_strategy(bundle.path / "strategy.toml")
    rules = [trading_rules(find_spec(name), may_short=False) for name in loaded.config.instruments]

    pipeline = build_pipeline(loaded, rules, 525_600.0)

    assert pipeline.stages.policy.policy_id == bundle.bundle_id
    assert pipeline.stages.regime is not None
    assert pipeline.stages.regime.params.num_states == 2


def test_changed_byte_of_any_file_is_refused(bundle: Bundle) -> None:
    for path in sorted(bundle.path.iterdir()):
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            if path.name == "manifest.json":
                # Its own bytes are the id: a change is another bundle, or none at all.
                try:
                    assert open_bundle(bundle.path).bundle_id != bundle.bundle_id
                except ConfigError:
                    continue
            else:
                with pytest.raises(ConfigError, match=f"{path.name} is not what the manifest says"):
                    open_bundle(bundle.path)
        path.write_bytes(whole)
    assert open_bundle(bundle.path) == bundle


@pytest.mark.parametrize("name", ["policy.onnx", "regime.npz", "scorecard.json"])
def test_missing_file_is_refused(bundle: Bundle, name: str) -> None:
    (bundle.path / name).unlink()

    with pytest.raises(ConfigError, match=f"{name}'] missing"):
        open_bundle(bundle.path)


def test_foreign_file_is_refused(bundle: Bundle) -> None:
    (bundle.path / "notes.txt").write_text("")

    with pytest.raises(ConfigError, match=r"notes\.txt'\] that the manifest does not name"):
        open_bundle(bundle.path)


def test_link_in_place_of_a_file_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    policy = bundle.path / "policy.onnx"
    policy.rename(tmp_path / "elsewhere.onnx")
    policy.symlink_to(tmp_path / "elsewhere.onnx")

    with pytest.raises(ConfigError, match="expected a plain file"):
        open_bundle(bundle.path)


def test_link_to_a_bundle_leads_to_it(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "active").symlink_to(bundle.path)

    assert open_bundle(tmp_path / "active") == bundle


@pytest.mark.parametrize("place", ["nowhere", "empty"])
def test_directory_that_is_no_bundle_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ConfigError, match=r"expected (the directory of )?a bundle"):
        open_bundle(tmp_path / place)


def test_document_that_changed_since_it_was_opened_is_refused(bundle: Bundle) -> None:
    assert bundle.document("scorecard.json") == {"score": 1.5}
    (bundle.path / "scorecard.json").write_text("{}")

    with pytest.raises(ConfigError, match="changed since"):
        bundle.document("scorecard.json")


@pytest.mark.parametrize(
    "change",
    [
        {"instruments": ("BETAUSDT.DEMO", "ALPHAUSDT.DEMO")},
        {"instruments": ("ALPHAUSDT.DEMO",)},
        {"instruments": ("ALPHAUSDT.DEMO", "GAMMAUSDT.DEMO")},
        {"interval": "5-MINUTE"},
        {"features": {"lookback": 5, "columns": ({"kind": "log_return"}, {"kind": "rsi"})}},
        {"features": {"lookback": 4, "columns": ({"kind": "rsi"}, {"kind": "log_return"})}},
        {"features": {"lookback": 4, "columns": ({"kind": "log_return"}, {"kind": "sma"})}},
        {
            "features": {
                "lookback": 4,
                "columns": ({"kind": "log_return"}, {"kind": "rsi", "params": {"period": 15}}),
            }
        },
        {"features": {"lookback": 4, "columns": ({"kind": "log_return"},)}},
        {"allocation": {"action_map": ActionMap.TANH_LEVERAGE}},
        {"allocation": {"action_map": ActionMap.WEIGHTS}},
        {"regime": None},
        {"regime": {"columns": ("log_return_1",)}},
        {"regime": {"columns": ("log_return_1",), "instrument_id": "BETAUSDT.DEMO"}},
        {
            "regime": {
                "columns": ("log_return_1",),
                "instrument_id": "ALPHAUSDT.DEMO",
                "summary_of": "log_return_1",
            }
        },
        {
            "regime": {
                "columns": ("log_return_1",),
                "instrument_id": "ALPHAUSDT.DEMO",
                "append_beliefs": False,
            }
        },
        {"regime": {"columns": ("rsi_14",), "instrument_id": "ALPHAUSDT.DEMO"}},
    ],
)
def test_strategy_that_differs_from_what_was_trained_is_refused(
    bundle: Bundle, change: dict[str, Any]
) -> None:
    strategy = strategy_with_bundle(bundle.path.name, **change)
    (bundle.path.parent / "changed.toml").write_text(strategy_toml(strategy))

    with pytest.raises(ConfigError, match="trained for something else"):
        build(bundle.path.parent / "changed.toml")


def test_regime_model_over_other_features_than_named_is_refused(bundle: Bundle) -> None:
    columns = ["log_return_1", "rsi_14"]
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    manifest["schema"]["regime_columns"] = columns
    (bundle.path / "manifest.json").write_text(json.dumps(manifest))
    regime = {"columns": tuple(columns), "instrument_id": "ALPHAUSDT.DEMO"}
    strategy = strategy_with_bundle(bundle.path.name, regime=regime)
    (bundle.path.parent / "changed.toml").write_text(strategy_toml(strategy))

    with pytest.raises(ConfigError, match=r"names 2 features .* means have 1"):
        build(bundle.path.parent / "changed.toml")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_sha256", "0" * 64),
        ("num_states", 3),
        ("num_states", 0),
        ("action_map", "weights"),
        ("interval", "1-HOUR"),
        ("symbols", ["ALPHAUSDT"]),
        ("regime_columns", ["rsi_14"]),
        ("regime_symbol", "BETAUSDT"),
        ("summary_of", "log_return_1"),
    ],
)
def test_manifest_that_claims_another_schema_is_refused(bundle: Bundle, key: str, value: Any) -> None:
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    manifest["schema"][key] = value
    (bundle.path / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(ConfigError, match=key):
        build(bundle.path / "strategy.toml")


def test_network_of_other_features_in_a_forged_manifest_is_refused(bundle: Bundle) -> None:
    policy = (bundle.path / "policy.onnx").read_bytes()
    wrong = policy.replace(bundle.schema.schema_sha256.encode(), b"0" * 64)
    forge(bundle, "policy.onnx", wrong)

    with pytest.raises(ConfigError, match=r"argonaut\.schema_sha256"):
        build(bundle.path / "strategy.toml")


def test_strategy_with_a_limit_off_is_read_as_it_was_written() -> None:
    strategy = strategy_with_bundle(guardrails={"max_spread_bps": None})

    text = strategy_toml(strategy)

    assert 'max_spread_bps = "none"' in text
    assert StrategyConfig.model_validate_json(json.dumps(tomllib.loads(text))) == strategy
