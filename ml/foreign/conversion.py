"""A policy of another library as one of ours, believed once it answers the same.

Flow: archive → **conversion** → bundles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.foreign.archive import ForeignPolicy
from ml.onnx_graph import Graph
from strategies.config import ActionMap
from strategies.errors import ConfigError
from strategies.market import Float32s
from strategies.observation import PORTFOLIO_FIELDS
from strategies.policies.onnx import open_session

TOLERANCE = 1e-5
"""Largest difference between an answer of ours and theirs, relative to answers beyond one: that of single
precision, added up in another order."""

_SIDES = 3
_OTHER_NAMES = {"gamma": "beliefs"}
"""Parts of an observation that had another name (mission SB-122)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a strategy shows its policy and expects of it."""

    lookback: int
    num_instruments: int
    num_features: int
    num_beliefs: int
    """Figures of a belief; 0 where none is shown."""
    action_map: ActionMap
    schema_sha256: str
    """Hash of the feature manifest."""

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Parts of an observation and their shapes, in the order of a flat one."""
        shapes: dict[str, tuple[int, ...]] = {
            "window": (self.lookback, self.num_instruments, self.num_features),
            "portfolio": (len(PORTFOLIO_FIELDS) + self.num_instruments,),
        }
        return shapes | ({"beliefs": (self.num_beliefs,)} if self.num_beliefs else {})

    @property
    def outputs(self) -> int:
        """Numbers of an action."""
        return self.num_instruments + (self.action_map is ActionMap.SIMPLEX_CASH)


def foreign_onnx(policy: ForeignPolicy, reading: Reading) -> bytes:
    """The policy as bytes of an ONNX file; it answers all that it was asked where it came from, likewise.

    Args:
        policy: What was read.
        reading: The strategy that it is to trade.

    Raises:
        ConfigError: If it reads or answers something else than the strategy shows and expects, or the file
            answers otherwise than the original did.
    """
    order = _order(policy, reading)
    answered = policy.discrete_dims or len(policy.biases[-1])
    if answered != reading.outputs:
        raise ConfigError(
            f"actions: expected {reading.outputs} numbers for {reading.num_instruments} instruments and "
            f"{reading.action_map.value}, found {answered}; name the strategy that it was trained for"
        )
    if policy.discrete_dims and reading.action_map is not ActionMap.WEIGHTS:
        raise ConfigError(
            f"actions: expected allocation.action_map = {ActionMap.WEIGHTS.value!r} for choices among short, "
            f"flat and long, found {reading.action_map.value!r}"
        )
    content = _written(policy, reading, order)
    apart = _difference(content, policy, reading, order)
    if not apart <= TOLERANCE:
        raise ConfigError(
            f"the converted policy answers otherwise than the original, by {apart:.2g} (at most "
            f"{TOLERANCE:g} is rounding); it is not taken over: between its layers it does something else"
        )
    return content


def _order(policy: ForeignPolicy, reading: Reading) -> tuple[str, ...]:
    """Which of our parts the network joins, and in which order."""
    inputs = reading.inputs
    found = {_OTHER_NAMES.get(name, name): shape for name, shape in policy.observed}
    if found.keys() == {""}:
        width, wanted = int(np.prod(found[""])), sum(int(np.prod(shape)) for shape in inputs.values())
        if width == wanted:
            return tuple(inputs)
        raise ConfigError(
            f"observations: expected {wanted} numbers ({_in_words(inputs)}, one after the other), found "
            f"{width}; name the strategy that it was trained for"
        )
    if found != inputs:
        raise ConfigError(
            f"observations: expected {_in_words(inputs)}, found {_in_words(found)}; name the strategy that "
            "it was trained for"
        )
    return tuple(found)


def _written(policy: ForeignPolicy, reading: Reading, order: tuple[str, ...]) -> bytes:
    graph = Graph()
    x = graph.add("Concat", [graph.add("Flatten", [name], axis=1) for name in order], axis=1)
    *hidden, last = zip(policy.weights, policy.biases, strict=True)
    for weight, bias in hidden:
        x = graph.add({"Tanh": "Tanh", "ReLU": "Relu"}[policy.activation], [graph.dense(weight, bias, x)])
    x = graph.dense(*last, x)
    if policy.discrete_dims:
        graph.choose(x, policy.discrete_dims, _SIDES)
    else:
        for kind, bound in (("Max", policy.low), ("Min", policy.high)):
            assert bound is not None
            x = graph.add(kind, [x, graph.constant(bound)])
        graph.add("Identity", [x], "action")
    return graph.policy(
        "policy_imported",
        reading.inputs,
        reading.outputs,
        action_map=reading.action_map,
        schema_sha256=reading.schema_sha256,
    )


def _difference(content: bytes, policy: ForeignPolicy, reading: Reading, order: tuple[str, ...]) -> float:
    """Largest, over all observations that the original was asked; relative where an answer is beyond one."""
    session = open_session(Path("policy.onnx"), content)
    wanted = policy.actions
    if policy.discrete_dims:
        wanted = (wanted - 1.0) / np.float32(policy.discrete_dims)
    found = session.run(["action"], _parts(policy.observations, reading.inputs, order))[0]
    return float((np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))).max(initial=0.0))


def _parts(
    flat: Float32s, inputs: Mapping[str, tuple[int, ...]], order: tuple[str, ...]
) -> dict[str, Float32s]:
    ends = np.cumsum([int(np.prod(inputs[name])) for name in order])[:-1]
    return {
        name: np.ascontiguousarray(part.reshape(len(flat), *inputs[name]))
        for name, part in zip(order, np.split(flat, ends, axis=1), strict=True)
    }


def _in_words(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
