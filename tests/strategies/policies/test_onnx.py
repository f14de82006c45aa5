"""ONNX policies: the answer equals numpy's, and whatever does not fit is refused before anything trades."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from strategies.config import ActionMap, OnnxPolicyConfig
from strategies.errors import ConfigError, DataError
from strategies.policies.factory import make_policy
from strategies.policies.onnx import ACTION_MAP_KEY, FORMAT_KEY, SCHEMA_KEY, OnnxPolicy
from strategies.regime import RegimeBelief
from tests.support.observations import make_observation
from tests.support.onnx_models import mlp_forward, save_graph, save_mlp

SCHEMA = "5c" * 32
COLUMNS = ("a", "b", "c")
SIZES: dict[str, Any] = {"lookback": 4, "num_instruments": 2, "num_features": 3, "schema_sha256": SCHEMA}
FEATURES = [[1.0, 2.0, 3.0]] * 2
BELIEF = RegimeBelief((0.2, 0.5, 0.3), 1, 1.4855)


def _load(path: Path, **changes: Any) -> OnnxPolicy:
    arguments: dict[str, Any] = {
        "columns": COLUMNS,
        "num_instruments": 2,
        "num_states": 0,
        "num_beliefs": 0,
        "schema_sha256": SCHEMA,
        "base_dir": path.parent,
        "action_map": ActionMap.SIMPLEX_CASH,
    }
    policy = make_policy(
        OnnxPolicyConfig(kind="onnx", path=path.name, deadline_ms=50.0), **(arguments | changes)
    )
    assert isinstance(policy, OnnxPolicy)
    return policy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.onnx"


@pytest.mark.parametrize("has_dynamic_batch", [False, True])
@pytest.mark.parametrize("num_states", [0, 3])
@pytest.mark.parametrize(
    ("action_map", "length"), [(ActionMap.SIMPLEX_CASH, 3), (ActionMap.TANH_LEVERAGE, 2)]
)
def test_onnx_action_equals_the_network_in_numpy(
    path: Path, action_map: ActionMap, length: int, num_states: int, has_dynamic_batch: bool
) -> None:
    weights = save_mlp(
        path, **SIZES, num_states=num_states, action_map=action_map, has_dynamic_batch=has_dynamic_batch
    )
    policy = _load(path, num_beliefs=num_states, action_map=action_map)

    for seed in range(3):
        observation = make_observation(FEATURES, [1.0, 1.0], belief=BELIEF if num_states else None, seed=seed)
        action = policy.act(observation)
        inputs = np.concatenate([observation.window.ravel(), observation.portfolio, observation.beliefs])

        assert action.values == pytest.approx(mlp_forward(weights, inputs), abs=1e-5)
        assert len(action.values) == length
        assert action.action_map is action_map
        assert action.confidence == 1.0


def test_onnx_model_may_ignore_the_belief(path: Path) -> None:
    weights = save_mlp(path, **SIZES, num_states=0)
    observation = make_observation(FEATURES, [1.0, 1.0], belief=BELIEF)

    action = _load(path, num_beliefs=3).act(observation)

    inputs = np.concatenate([observation.window.ravel(), observation.portfolio])
    assert action.values == pytest.approx(mlp_forward(weights, inputs), abs=1e-5)


def test_onnx_action_is_kept_when_the_next_bar_is_answered(path: Path) -> None:
    save_mlp(path, **SIZES)
    policy = _load(path)

    first = policy.act(make_observation(FEATURES, [1.0, 1.0], seed=1))
    before = list(first.values)
    policy.act(make_observation(FEATURES, [1.0, 1.0], seed=2))

    assert list(first.values) == before


def test_onnx_answer_depends_on_the_newest_observation_alone(path: Path) -> None:
    save_mlp(path, **SIZES)
    policy, fresh = _load(path), _load(path)

    history = [policy.act(make_observation(FEATURES, [1.0, 1.0], seed=seed)).values for seed in (1, 2, 3, 1)]
    policy.reset()

    assert history[0] == history[3]
    assert fresh.act(make_observation(FEATURES, [1.0, 1.0], seed=3)).values == history[2]


def test_onnx_policy_id_is_the_hash_of_the_file(path: Path) -> None:
    from hashlib import sha256

    save_mlp(path, **SIZES)

    assert _load(path).policy_id == sha256(path.read_bytes()).hexdigest()


def test_onnx_inference_beyond_the_deadline_holds_and_is_counted(path: Path) -> None:
    save_mlp(path, **SIZES)
    readings = iter([0.0, 0.0501, 1.0, 1.0499])
    policy = _load(path, monotonic=lambda: next(readings))
    observation = make_observation(FEATURES, [1.0, 1.0])

    late, in_time = policy.act(observation), policy.act(observation)

    assert np.isnan(late.values).tolist() == [True, True]
    assert late.action_map is ActionMap.WEIGHTS
    assert len(in_time.values) == 3
    assert policy.deadline_misses == 1


def test_onnx_answer_that_is_not_finite_is_refused(path: Path) -> None:
    save_mlp(path, **SIZES, bias=math.nan)
    policy = _load(path)

    with pytest.raises(DataError, match="expected a finite action"):
        policy.act(make_observation(FEATURES, [1.0, 1.0]))


@pytest.mark.parametrize(
    ("saved", "loaded", "message"),
    [
        ({"schema_sha256": "00" * 32}, {}, SCHEMA_KEY + ": expected '5c5c"),
        ({"action_map": ActionMap.TANH_LEVERAGE}, {}, ACTION_MAP_KEY + ": expected 'simplex_cash'"),
        ({"metadata": {}}, {}, FORMAT_KEY + ": expected '1', found None"),
        ({"metadata": {FORMAT_KEY: "2"}}, {}, FORMAT_KEY + ": expected '1', found '2'"),
        ({}, {"num_instruments": 3}, r"window: expected tensor\(float\) of shape \(1, L, 3, 3\)"),
        ({}, {"columns": ("a", "b")}, r"window: expected tensor\(float\) of shape \(1, L, 2, 2\)"),
        ({"num_states": 3}, {}, r"inputs: expected \['portfolio', 'window'\], found \['beliefs'"),
        ({"num_states": 3}, {"num_beliefs": 2}, r"beliefs: expected tensor\(float\) of shape \(1, 2\)"),
        ({"opset": 99}, {}, "export it again with an older opset"),
        ({"opset": 5}, {}, "export it again with an older opset"),
    ],
)
def test_onnx_file_that_does_not_fit_the_strategy_is_refused(
    path: Path, saved: dict[str, Any], loaded: dict[str, Any], message: str
) -> None:
    save_mlp(path, **(SIZES | saved))

    with pytest.raises(ConfigError, match=message) as refusal:
        _load(path, **loaded)

    assert "policy.onnx" in str(refusal.value)


def test_onnx_output_of_another_length_is_refused(path: Path) -> None:
    metadata = {FORMAT_KEY: "1", SCHEMA_KEY: SCHEMA, ACTION_MAP_KEY: "simplex_cash"}
    save_mlp(path, **SIZES, action_map=ActionMap.TANH_LEVERAGE, metadata=metadata)

    with pytest.raises(ConfigError, match=r"action: expected tensor\(float\) of shape \(1, 3\), found"):
        _load(path)


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\x08\x08\x12"])
def test_onnx_file_missing_or_corrupt_is_refused(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"policy\.onnx: expected a"):
        _load(path)


def test_onnx_file_cut_in_half_is_refused(path: Path) -> None:
    save_mlp(path, **SIZES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(ConfigError, match=r"policy\.onnx"):
        _load(path)


def test_onnx_weights_outside_the_file_are_refused(path: Path) -> None:
    # The hash of a file whose weights lie elsewhere would not pin what decides.
    save_mlp(path, **SIZES)
    onnx.save_model(
        onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )

    with pytest.raises(ConfigError, match="self-contained"):
        _load(path)


def test_onnx_model_that_samples_is_refused(path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("RandomNormal", [], ["action"], shape=[1, 3]),
            helper.make_node("Identity", ["window"], ["w"]),
            helper.make_node("Identity", ["portfolio"], ["p"]),
        ],
        "policy",
        [
            helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, 4, 2, 3]),
            helper.make_tensor_value_info("portfolio", TensorProto.FLOAT, [1, 9]),
        ],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, 3])],
    )
    save_graph(path, graph, {FORMAT_KEY: "1", SCHEMA_KEY: SCHEMA, ACTION_MAP_KEY: "simplex_cash"})

    with pytest.raises(ConfigError, match="export without sampling"):
        _load(path)


def test_onnxruntime_is_loaded_by_onnx_policies_alone_and_never_reports_usage() -> None:
    program = (
        "import os, sys; import strategies.policies; assert 'onnxruntime' not in sys.modules; "
        "import strategies.policies.onnx; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
