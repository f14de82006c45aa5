"""Small real ONNX policies, built without a trainer, for tests and benchmarks."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from strategies.config import ActionMap
from strategies.policies.onnx import ACTION_MAP_KEY, FORMAT, FORMAT_KEY, SCHEMA_KEY

type Float32s = npt.NDArray[np.float32]

HIDDEN = (64, 64)
OPSET = 17
IR_VERSION = 8


def mlp_weights(num_inputs: int, num_outputs: int, seed: int) -> list[Float32s]:
    """Draw the weight matrices of a tanh network with two hidden layers, scaled to keep variance."""
    rng = np.random.default_rng(seed)
    sizes = (num_inputs, *HIDDEN, num_outputs)
    return [
        (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        for rows, columns in itertools.pairwise(sizes)
    ]


def mlp_forward(weights: list[Float32s], inputs: Float32s) -> Float32s:
    """Compute in numpy what the exported network computes."""
    hidden = inputs
    for weight in weights[:-1]:
        hidden = np.tanh(hidden @ weight)
    output: Float32s = hidden @ weights[-1]
    return output


def save_mlp(
    path: Path,
    *,
    lookback: int,
    num_instruments: int,
    num_features: int,
    num_states: int = 0,
    schema_sha256: str,
    action_map: ActionMap = ActionMap.SIMPLEX_CASH,
    seed: int = 0,
    opset: int = OPSET,
    has_dynamic_batch: bool = False,
    metadata: Mapping[str, str] | None = None,
    bias: float = 0.0,
) -> list[Float32s]:
    """Write a tanh MLP over window, portfolio and (with states) beliefs as Argonaut's exporter would.

    Args:
        path: File to write.
        metadata: Replaces the metadata that fits; an empty mapping leaves all of it out.
        bias: Added to the output; NaN makes a network that fails.

    Returns:
        The weights, input side first, for `mlp_forward`.
    """
    batch = "batch" if has_dynamic_batch else 1
    shapes: dict[str, list[int | str]] = {
        "window": [batch, lookback, num_instruments, num_features],
        "portfolio": [batch, 7 + num_instruments],
    }
    if num_states:
        shapes["beliefs"] = [batch, num_states]
    num_outputs = num_instruments + (action_map is ActionMap.SIMPLEX_CASH)
    num_inputs = lookback * num_instruments * num_features + 7 + num_instruments + num_states
    weights = mlp_weights(num_inputs, num_outputs, seed)

    nodes = [
        helper.make_node("Flatten", ["window"], ["flat"]),
        helper.make_node("Concat", ["flat", *list(shapes)[1:]], ["hidden0"], axis=1),
    ]
    for layer in range(len(weights)):
        nodes.append(helper.make_node("MatMul", [f"hidden{layer}", f"weight{layer}"], [f"linear{layer}"]))
        if layer < len(weights) - 1:
            nodes.append(helper.make_node("Tanh", [f"linear{layer}"], [f"hidden{layer + 1}"]))
    nodes.append(helper.make_node("Add", [f"linear{len(weights) - 1}", "bias"], ["action"]))
    constants = [numpy_helper.from_array(weight, f"weight{layer}") for layer, weight in enumerate(weights)]
    constants.append(numpy_helper.from_array(np.array([bias], dtype=np.float32), "bias"))

    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [batch, num_outputs])],
        constants,
    )
    if metadata is None:
        metadata = {FORMAT_KEY: FORMAT, SCHEMA_KEY: schema_sha256, ACTION_MAP_KEY: action_map.value}
    save_graph(path, graph, metadata, opset=opset)
    return weights


def save_graph(
    path: Path, graph: onnx.GraphProto, metadata: Mapping[str, str], *, opset: int = OPSET
) -> None:
    """Write any graph as a model with our metadata."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    helper.set_model_props(model, dict(metadata))
    path.write_bytes(model.SerializeToString())
