"""Time of regime filter, observation and policies, beside the bare onnxruntime call.

Window 64, two instruments, eight features,
three states over three features, a tanh MLP with two hidden layers of 64. Pieces are timed in turn within
each round, so that a change of the machine's mood touches all of them alike; each figure is a best round.
"""

import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np

from benchmarks.figures import QUICK, Figure, report
from strategies.config import ActionMap, DonchianPolicyConfig, OnnxPolicyConfig
from strategies.features import FeatureVector
from strategies.market import Instrument
from strategies.observation import Observation, ObservationBuilder
from strategies.policies import Policy, make_policy
from strategies.portfolio import Ledger
from strategies.regime import RegimeFilter
from strategies.regime_params import RegimeParams
from tests.support.onnx_models import save_mlp

LOOKBACK, INSTRUMENTS, FEATURES, STATES = 64, 2, 8, 3
COLUMNS = ("donchian_upper_55", "donchian_lower_55", "atr_14", *(f"feature_{at}" for at in range(5)))
BARE = "`InferenceSession.run`"
ROUNDS, CALLS = (3 if QUICK else 15), 2_000


def measure() -> list[Figure]:
    """Time each piece."""
    rng = np.random.default_rng(0)
    builder = ObservationBuilder(LOOKBACK, INSTRUMENTS, FEATURES, STATES, COLUMNS)
    vectors = [
        FeatureVector(at, rng.standard_normal((INSTRUMENTS, FEATURES)), ready=True) for at in range(LOOKBACK)
    ]
    ledger = Ledger([instrument()] * INSTRUMENTS, 1000.0)
    closes = (1.0,) * INSTRUMENTS
    diagonal, full = RegimeFilter(params(is_full=False)), RegimeFilter(params(is_full=True))
    x = [0.1, -0.2, 0.3]
    belief = diagonal.update(x)
    for vector in vectors:
        builder.push(vector)
    observation = builder.build(ledger, closes, belief)

    def observe() -> None:
        builder.push(vectors[0])
        builder.build(ledger, closes, belief)

    with tempfile.TemporaryDirectory() as directory:
        onnx_policy, bare = policies(Path(directory), observation)
    donchian = make(DonchianPolicyConfig(kind="donchian"), Path())
    pieces: dict[str, Callable[[], object]] = {
        BARE: bare,
        "regime update, diagonal covariance": lambda: diagonal.update(x),
        "regime update, full covariance": lambda: full.update(x),
        "observation, push and build": observe,
        "ONNX policy": lambda: onnx_policy.act(observation),
        "Donchian policy": lambda: donchian.act(observation),
    }
    best_us = best_of_rounds(pieces)
    bare_us = best_us.pop(BARE)
    targets_us = {
        "regime update, diagonal covariance": 5.0,
        "observation, push and build": 5.0,
        "ONNX policy": bare_us + 3.0,
    }
    how = f"one call, the best of {ROUNDS} rounds of {CALLS:,} calls"
    return [
        Figure(name, us, "µs", how, targets_us.get(name), bare_us, BARE, is_absolute=True)
        for name, us in best_us.items()
    ]


def best_of_rounds(pieces: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds a call of each piece in its best round."""
    best = dict.fromkeys(pieces, float("inf"))
    for _ in range(ROUNDS):
        for name, piece in pieces.items():
            started = time.perf_counter_ns()
            for _ in range(CALLS):
                piece()
            best[name] = min(best[name], (time.perf_counter_ns() - started) / CALLS / 1e3)
    return best


def policies(directory: Path, observation: Observation) -> tuple[Policy, Callable[[], object]]:
    """The policy under test and ``InferenceSession.run`` of the same file on the same numbers."""
    import onnxruntime as ort  # after our own module, which switches its telemetry off first

    path = directory / "policy.onnx"
    save_mlp(
        path,
        lookback=LOOKBACK,
        num_instruments=INSTRUMENTS,
        num_features=FEATURES,
        num_states=STATES,
        schema_sha256="",
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {
        "window": observation.window[np.newaxis],
        "portfolio": observation.portfolio[np.newaxis],
        "beliefs": observation.beliefs[np.newaxis],
    }
    outputs = ["action"]
    return make(OnnxPolicyConfig(kind="onnx", path=path.name), directory), lambda: session.run(outputs, feed)


def make(config: OnnxPolicyConfig | DonchianPolicyConfig, directory: Path) -> Policy:
    """Build one policy over the benchmark's observation."""
    is_rule = isinstance(config, DonchianPolicyConfig)
    return make_policy(
        config,
        columns=COLUMNS,
        num_instruments=INSTRUMENTS,
        num_states=STATES,
        num_beliefs=STATES,
        schema_sha256="",
        base_dir=directory,
        action_map=ActionMap.WEIGHTS if is_rule else ActionMap.SIMPLEX_CASH,
        monotonic=time.perf_counter,
    )


def params(*, is_full: bool) -> RegimeParams:
    """A sticky model with three states over three features."""
    rng = np.random.default_rng(1)
    variances = rng.uniform(0.5, 2.0, size=(STATES, 3))
    return RegimeParams(
        initial_probs=np.full(STATES, 1.0 / STATES),
        transition_matrix=np.full((STATES, STATES), 0.05) + 0.85 * np.eye(STATES),
        means=rng.standard_normal((STATES, 3)),
        covariances=np.array([np.diag(row) + 0.1 for row in variances]) if is_full else variances,
    )


def instrument() -> Instrument:
    """Rules that do not matter here."""
    return Instrument(
        instrument_id="ALPHAUSDT.DEMO",
        base_currency="ALPHA",
        quote_currency="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_quantity=Decimal("0.001"),
        min_notional=Decimal(10),
        maker_fee_bps=10.0,
        taker_fee_bps=10.0,
        shortable=False,
    )


if __name__ == "__main__":
    report(measure)
