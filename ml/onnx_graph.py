"""ONNX written node by node: what is in the file is what was written, the same bytes for the same weights.

Nothing of it tells of whoever trained it: no path, no trace, no name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from strategies.config import ActionMap
from strategies.policies.onnx import ACTION_MAP_KEY, FORMAT, FORMAT_KEY, SCHEMA_KEY

_OPSET = 17
_IR_VERSION = 8


class Graph:
    """Nodes and constants, in the order in which they are needed; a node is named after its number."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def add(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        output = output or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: npt.ArrayLike | Tensor, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a constant; returns its name."""
        array = value.numpy(force=True) if isinstance(value, Tensor) else np.asarray(value)
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array, dtype=dtype, order="C")
        return name

    def dense(self, weight: npt.ArrayLike | Tensor, bias: npt.ArrayLike | Tensor, x: str) -> str:
        """``x · weightᵀ + bias``."""
        return self.add("Gemm", [x, self.constant(weight), self.constant(bias)], transB=1)

    def choose(self, logits: str, dims: int, choices: int) -> None:
        """The graph's output, ``action``: the likeliest of short, flat and long, an equal share for each."""
        shape = self.constant([-1, dims, choices], np.int64)
        chosen = self.add("ArgMax", [self.add("Reshape", [logits, shape])], axis=2, keepdims=0)
        side = self.add("Sub", [self.add("Cast", [chosen], to=TensorProto.FLOAT), self.constant(1.0)])
        self.add("Div", [side, self.constant(float(dims))], "action")

    def policy(
        self,
        name: str,
        inputs: Mapping[str, Sequence[int]],
        outputs: int,
        *,
        action_map: ActionMap,
        schema_sha256: str,
    ) -> bytes:
        """The file that `strategies.policies.onnx.OnnxPolicy` reads.

        Args:
            name: Of the graph.
            inputs: Shapes without the batch.
            outputs: Numbers of ``action``.
            action_map: How they become weights.
            schema_sha256: Hash of the feature manifest.
        """
        model = helper.make_model(
            helper.make_graph(
                self.nodes,
                name,
                [_value(one, shape) for one, shape in inputs.items()],
                [_value("action", [outputs])],
                [numpy_helper.from_array(array, one) for one, array in self.constants.items()],
            ),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
        )
        metadata = {FORMAT_KEY: FORMAT, SCHEMA_KEY: schema_sha256, ACTION_MAP_KEY: action_map.value}
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def _value(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
