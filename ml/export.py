"""A trained network as an ONNX policy: feature normaliser, encoder and actor in one file.

Flow: ppo, pathwise → **export** → bundles → strategies.policies.onnx.

The critic stays behind. The weights of a discrete policy are those that the environment gives its choices.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from onnx import helper
from torch import Tensor, nn

from ml.heads import Column
from ml.networks import (
    MAX_SCORE,
    CausalConvolution,
    Policy,
    WindowConvolution,
    WindowLayer,
    WindowMemory,
)
from ml.onnx_graph import Graph
from strategies.config import ActionMap
from strategies.errors import DataError
from strategies.market import Float32s
from strategies.observation import PORTFOLIO_FIELDS
from strategies.policies.onnx import open_session

PARITY_TOLERANCE = 1e-4
"""Largest difference between an action here and in onnxruntime, relative to actions larger than one. With
ordinary weights it is below 1e-6; it grows with them, and a graph that is wrong is off by far more."""

_AT_ONCE = 1_024


def policy_onnx(policy: Policy, *, action_map: ActionMap, schema_sha256: str) -> bytes:
    """The policy as bytes of an ONNX file; equal weights give equal bytes.

    Args:
        policy: A trained network over windows.
        action_map: How its actions become weights.
        schema_sha256: Hash of the feature manifest that it was trained on.

    Raises:
        DataError: If it reads no window, or a weight is not finite.
    """
    shapes = policy.shapes
    if not shapes.lookback:
        raise DataError("expected a policy that reads a window of features, found one of plain observations")
    bad = [name for name, value in policy.state_dict().items() if not torch.isfinite(value).all()]
    if bad:
        raise DataError(f"expected finite weights, found NaN or infinity in {bad}; train again")
    num_beliefs = shapes.vector - len(PORTFOLIO_FIELDS) - shapes.num_instruments
    graph = _PolicyGraph()
    code = graph.encoder(policy, graph.scaled(policy, "window"))
    beside = ["portfolio"] + (["beliefs"] if num_beliefs else [])
    mean = graph.column(policy.actor, graph.add("Concat", [code, *beside], axis=1))
    graph.answer(policy, mean, action_map)
    inputs = {
        "window": [shapes.lookback, shapes.num_instruments, shapes.num_features],
        "portfolio": [len(PORTFOLIO_FIELDS) + shapes.num_instruments],
    } | ({"beliefs": [num_beliefs]} if num_beliefs else {})
    return graph.policy(
        f"policy_{policy.config.kind}",
        inputs,
        shapes.discrete_dims or shapes.actions,
        action_map=action_map,
        schema_sha256=schema_sha256,
    )


def policy_actions(policy: Policy, windows: Tensor, vectors: Tensor, action_map: ActionMap) -> Tensor:
    """What the network answers, as the exported one does.

    Args:
        policy: The network.
        windows: Shape (B, L, N, F).
        vectors: Portfolio and beliefs, shape (B, V).
        action_map: How actions become weights.

    Returns:
        Shape (B, N), or (B, N + 1) for ``simplex_cash``.
    """
    policy.eval()
    with torch.no_grad():
        mean, _ = policy(policy.encode(policy.scaling.scores(windows.clone())), vectors)
    dims = policy.shapes.discrete_dims
    if dims:
        return cast("Tensor", (mean.reshape(len(mean), dims, -1).argmax(dim=-1) - 1.0) / dims)
    return cast("Tensor", mean.clamp(-1.0, 1.0) if action_map is ActionMap.WEIGHTS else mean)


def parity_error(
    content: bytes, policy: Policy, windows: Float32s, vectors: Float32s, action_map: ActionMap, batch: int
) -> float:
    """Largest difference between the file's actions and the network's, relative to actions beyond one.

    Args:
        content: What `policy_onnx` made.
        policy: What it was made of.
        windows: Real observations, shape (B, L, N, F).
        vectors: Portfolio and beliefs, shape (B, V).
        action_map: How actions become weights.
        batch: Observations that are answered at once.

    Raises:
        DataError: If it is beyond `PARITY_TOLERANCE`: the file must not trade.
    """
    session = open_session(Path("policy.onnx"), content)
    width = len(PORTFOLIO_FIELDS) + policy.shapes.num_instruments
    has_beliefs = vectors.shape[1] > width
    wanted = _in_parts(policy, windows, vectors, action_map)
    worst = 0.0
    for start in range(0, len(windows), batch):
        rows = slice(start, start + batch)
        fed = {"window": windows[rows], "portfolio": vectors[rows, :width]}
        if has_beliefs:
            fed["beliefs"] = vectors[rows, width:]
        fed = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in fed.items()}
        found = session.run(["action"], fed)[0]
        apart = np.abs(found - wanted[rows]) / np.maximum(1.0, np.abs(wanted[rows]))
        worst = max(worst, float(apart.max(initial=0.0)))
    if not worst <= PARITY_TOLERANCE:
        raise DataError(
            f"the exported policy answers otherwise than the trained one, by {worst:.2g} (at most "
            f"{PARITY_TOLERANCE:g} is rounding); it is not written; report this as a fault of the exporter"
        )
    return worst


def _in_parts(policy: Policy, windows: Float32s, vectors: Float32s, action_map: ActionMap) -> Float32s:
    parts = [
        policy_actions(
            policy,
            torch.tensor(np.ascontiguousarray(windows[start : start + _AT_ONCE])),
            torch.tensor(vectors[start : start + _AT_ONCE]),
            action_map,
        )
        for start in range(0, len(windows), _AT_ONCE)
    ]
    return torch.cat(parts).numpy()


class _PolicyGraph(Graph):
    """The parts of our networks."""

    def scaled(self, policy: Policy, window: str) -> str:
        """Features in deviations from their mean, cut where they are far out."""
        centred = self.add("Sub", [window, self.constant(policy.scaling.mean)])
        scores = self.add("Mul", [centred, self.constant(policy.scaling.scale)])
        return self.add("Clip", [scores, self.constant(-MAX_SCORE), self.constant(MAX_SCORE)])

    def encoder(self, policy: Policy, window: str) -> str:
        """Code of the window, (B, code)."""
        match policy.encoder:
            case WindowConvolution() as convolution:
                return self._window_cnn(convolution, window)
            case WindowMemory() as memory:
                return self._window_lstm(memory, window)
            case CausalConvolution() as convolution:
                return self._causal_conv(convolution, window)
            case WindowLayer() as layer:
                flat = self.add("Flatten", [window], axis=1)
                return self.add("Tanh", [self.dense(layer.out.weight, layer.out.bias, flat)])
            case _:
                raise TypeError(f"expected an encoder of ml.networks, found {type(policy.encoder).__name__}")

    def column(self, column: Column, x: str) -> str:
        """The actor."""
        *hidden, last = column.layers
        for layer in hidden:
            x = self.add("Tanh", [self.dense(*layer, x)])
        return self.dense(*last, x)

    def answer(self, policy: Policy, mean: str, action_map: ActionMap) -> None:
        """The graph's output, ``action``."""
        dims = policy.shapes.discrete_dims
        if dims:
            self.choose(mean, dims, policy.shapes.actions // dims)
        elif action_map is ActionMap.WEIGHTS:
            self.add("Clip", [mean, self.constant(-1.0), self.constant(1.0)], "action")
        else:
            self.add("Identity", [mean], "action")

    def _window_cnn(self, encoder: WindowConvolution, window: str) -> str:
        image = self.add("Transpose", [window], perm=[0, 3, 1, 2])
        for layer in encoder.convolutions:
            if isinstance(layer, nn.Conv2d):
                image = self.add(
                    "Conv",
                    [image, self.constant(layer.weight), self.constant(cast("Tensor", layer.bias))],
                    kernel_shape=list(layer.kernel_size),
                    strides=list(layer.stride),
                )
            else:
                image = self.add("Relu", [image])
        flat = self.add("Flatten", [image], axis=1)
        return self.add("Relu", [self.dense(encoder.out.weight, encoder.out.bias, flat)])

    def _window_lstm(self, encoder: WindowMemory, window: str) -> str:
        memory = encoder.memory
        rows = self._rows(memory.input_size, window)
        steps = self.add("Transpose", [rows], perm=[1, 0, 2])
        weights = dict(memory.named_parameters())
        biases = np.concatenate([_gates(weights[f"bias_{side}_l0"]) for side in ("ih", "hh")])
        states = [
            self.constant(_gates(weights["weight_ih_l0"])[None]),
            self.constant(_gates(weights["weight_hh_l0"])[None]),
            self.constant(biases[None]),
        ]
        last = f"x{len(self.nodes)}"
        self.nodes.append(
            helper.make_node("LSTM", [steps, *states], ["", last], hidden_size=memory.hidden_size)
        )
        newest = self.add("Squeeze", [last, self.constant([0], np.int64)])
        return self.add("Tanh", [self.dense(encoder.out.weight, encoder.out.bias, newest)])

    def _causal_conv(self, encoder: CausalConvolution, window: str) -> str:
        first = cast("nn.Conv1d", encoder.layers[0])
        x = self.add("Transpose", [self._rows(first.in_channels, window)], perm=[0, 2, 1])
        for module in encoder.layers:
            layer = cast("nn.Conv1d", module)
            dilation = layer.dilation[0]
            ahead = self.add(
                "Conv",
                [x, self.constant(layer.weight), self.constant(cast("Tensor", layer.bias))],
                kernel_shape=[layer.kernel_size[0]],
                dilations=[dilation],
                pads=[2 * dilation, 0],
            )
            ahead = self.add("Relu", [ahead])
            x = self.add("Add", [x, ahead]) if layer.in_channels == layer.out_channels else ahead
        newest = self.add("Gather", [x, self.constant(-1, np.int64)], axis=2)
        return self.add("Tanh", [self.dense(encoder.out.weight, encoder.out.bias, newest)])

    def _rows(self, width: int, window: str) -> str:
        """The window with each row flat, (B, L, N · F)."""
        return self.add("Reshape", [window, self.constant([0, 0, width], np.int64)])


def _gates(weight: Tensor) -> npt.NDArray[Any]:
    """Gates as ONNX has them (input, output, forget, cell); torch has input, forget, cell, output."""
    given, forget, cell, output = np.split(weight.numpy(force=True), 4)
    return np.concatenate([given, output, forget, cell])
