"""Training files: what cannot be trained is said before anything is, or leaves no model."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from adapters.instruments import find_spec
from bot.assembly import build_pipeline, trading_rules
from bot.config import load_strategy
from bot.learning.training import load_training, train
from ml.registry import Registry, RunState
from ops.model_store import ModelStore
from strategies.bundle import Bundle, open_bundle
from strategies.errors import ArgonautError, ConfigError, DataError
from strategies.features import FeatureVector
from strategies.regime_params import RegimeParams, load_regime_params
from tests.support.learners import TRAINING, write_training


def signed_anew(bundle: Bundle) -> Bundle:
    """Make the manifest that of the files as they are now."""
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((bundle.path / name).read_bytes()).hexdigest()
    (bundle.path / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(bundle.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('kind = "mlp"', 'kind = "mpl"'), 'network.kind = "mpl": .*did you mean "mlp"'),
        (("num_steps = 1_024", "num_steps = 0"), "ppo.num_steps = 0: expected a whole number of at least 1"),
        (("[ppo]", '[split]\nkind = "dates"\n[ppo]'), "test_start and test_end are needed"),
        (('strategy = "learner.toml"', 'strategy = "holder.toml"'), 'expected "bundle"'),
        (('host = "backtest.toml"', 'host = "backtst.toml"'), "did you mean"),
        (('host = "backtest.toml"', 'hots = "backtest.toml"'), "unknown key"),
    ],
)
def test_training_file_that_is_wrong_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    assert change[0] in TRAINING
    config = write_training(tmp_path, tmp_path, TRAINING.replace(*change))

    with pytest.raises(ConfigError, match=message):
        load_training(config)


def test_generated_bars_are_for_the_generated_venue_alone(tmp_path: Path) -> None:
    config = write_training(tmp_path, tmp_path)
    for name in ("backtest.toml", "learner.toml"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("DEMO", "BINANCE"))

    with pytest.raises(ConfigError, match="only the venue DEMO is generated"):
        load_training(config)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("num_envs = 16", "num_envs = 15"), ConfigError, "num_clocks = 8: expected a divisor"),
        (("days = 3", 'days = 3\n[split]\nkind = "last_year"'), DataError, "last_year"),
        (("[ppo]", '[ppo]\ndevice = "cuda"'), ConfigError, "no GPU that torch can use"),
        (("horizon_bars = 256", "horizon_bars = 10_000"), DataError, "expected 10000 bars in a row"),
    ],
)
def test_training_that_fails_says_why_and_leaves_no_model(
    tmp_path: Path, change: tuple[str, str], kind: type[ArgonautError], message: str
) -> None:
    assert change[0] in TRAINING
    loaded = load_training(write_training(tmp_path, tmp_path, TRAINING.replace(*change)))

    with pytest.raises(kind, match=message):
        train(loaded, tmp_path / "var", now_ns=lambda: 7)

    (run,) = Registry(tmp_path / "var" / "training.sqlite").runs()
    assert run.state is RunState.FAILED
    assert message.split(":", maxsplit=1)[0] in run.message
    assert not list((tmp_path / "var").glob("models/*/*"))


def test_regime_model_of_the_bundle_that_trades_is_remembered(tmp_path: Path) -> None:
    loaded = load_training(write_training(tmp_path, tmp_path))
    first = train(loaded, tmp_path / "var", now_ns=lambda: 7)
    swapped = train(loaded, tmp_path / "other", now_ns=lambda: 7).bundle
    assert swapped.regime_path is not None
    params = load_regime_params(swapped.regime_path)
    RegimeParams(
        initial_probs=params.initial_probs[::-1],
        transition_matrix=params.transition_matrix[::-1, ::-1],
        means=params.means[::-1],
        covariances=params.covariances[::-1],
    ).save(swapped.regime_path)
    ModelStore(tmp_path / "var").add(signed_anew(swapped))
    ModelStore(tmp_path / "var").promote("learner", signed_anew(swapped).bundle_id)

    again = train(loaded, tmp_path / "var", now_ns=lambda: 8)

    assert again.run.run_id != first.run.run_id
    assert again.bundle.document("lineage.json")["parent"] == signed_anew(swapped).bundle_id
    spreads = [load_regime_params(one.bundle.regime_path).covariances[:, 0] for one in (first, again)]  # type: ignore[arg-type]
    # States are ordered by spread where nothing is remembered; and as the parent has them where it is.
    assert spreads[0][0] < spreads[0][1]
    assert spreads[1][0] > spreads[1][1]


def test_policy_that_is_shown_the_summary_of_a_belief_is_trained_and_trades_with_it_alone(
    tmp_path: Path,
) -> None:
    config = write_training(tmp_path, tmp_path)
    strategy = tmp_path / "learner.toml"
    text = strategy.read_text()
    strategy.write_text(text.replace("[regime]\n", '[regime]\nsummary_of = "log_return_1"\n'))

    bundle = train(load_training(config), tmp_path / "var", now_ns=lambda: 7).bundle

    assert (bundle.schema.num_states, bundle.schema.summary_of) == (2, "log_return_1")
    loaded = load_strategy(bundle.path / "strategy.toml")
    rules = [trading_rules(find_spec(name), may_short=False) for name in loaded.config.instruments]
    stages = build_pipeline(loaded, rules, 525_600.0).stages
    assert stages.regime is not None
    for row in range(loaded.config.features.lookback):
        values = np.full((2, stages.features.num_features), 1e-4 * row)
        stages.observation.push(FeatureVector(row, values, True))
        stages.regime.update([1e-4 * row])
    observation = stages.observation.build(stages.ledger, (1.0, 1.0), stages.regime.belief)
    assert observation.beliefs.shape == (5,)
    assert len(stages.policy.act(observation).values) == 3
    strategy.write_text(text.replace('path = "unused"', f'path = "{bundle.path}"'))
    with pytest.raises(ConfigError, match="summary_of: expected None, found 'log_return_1'"):
        build_pipeline(load_strategy(strategy), rules, 525_600.0)


def test_same_settings_elsewhere_are_the_same_training(tmp_path: Path) -> None:
    one = load_training(write_training(tmp_path / "one", tmp_path))
    other = load_training(write_training(tmp_path / "other", tmp_path / "data"))
    seeded = load_training(
        write_training(tmp_path / "seeded", tmp_path, TRAINING.replace("[ppo]", "[ppo]\nseed = 1"))
    )

    assert one.sha256 == other.sha256
    assert one.sha256 != seeded.sha256


def test_who_works_on_folds_says_nothing_of_what_is_learned(tmp_path: Path) -> None:
    plain, spread = (tmp_path / name for name in ("plain", "spread"))
    texts = (TRAINING, TRAINING + '\n[workers]\nkind = "ray"\ncount = 8\n')

    one, other = (
        load_training(write_training(place, tmp_path, text)).sha256
        for place, text in zip((plain, spread), texts, strict=True)
    )

    assert one == other
