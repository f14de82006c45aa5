"""Turns a fitted classifier into an ONNX policy.

The graph takes the newest row of the window, scores every instrument, and answers with weights. Trees are
written out split by split: scikit-learn compares single-precision features with double-precision thresholds,
so each threshold is rounded down to single precision, which leaves every comparison as it was.
"""

from collections.abc import Iterable
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from ml.classifiers.fitting import ClassifierFit, Signal
from strategies.config import ActionMap
from strategies.market import Float32s, Floats
from strategies.observation import PORTFOLIO_FIELDS
from strategies.policies.onnx import ACTION_MAP_KEY, FORMAT, FORMAT_KEY, SCHEMA_KEY

_OPSET = 17
_TREE_OPSET = 3
_IR_VERSION = 8
_TREE_DOMAIN = "ai.onnx.ml"


def classifier_onnx(fit: ClassifierFit, *, lookback: int, num_instruments: int, schema_sha256: str) -> bytes:
    """The model as bytes of an ONNX policy with the action map ``weights``; equal fits give equal bytes.

    Args:
        fit: The model.
        lookback: Rows of the observation window, L.
        num_instruments: N.
        schema_sha256: Hash of the feature manifest whose columns the model was fitted on.
    """
    num_features = len(fit.columns)
    constants: dict[str, npt.NDArray[Any]] = {
        "newest": np.array(lookback - 1, dtype=np.int64),
        "rows": np.array([num_instruments, num_features], dtype=np.int64),
        "row": np.array([1, num_instruments], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["window", "newest"], ["last"], axis=1),
        helper.make_node("Reshape", ["last", "rows"], ["x"]),
    ]
    for more_nodes, more_constants in (_model(fit), _signal(fit.settings.signal, num_instruments)):
        nodes += more_nodes
        constants |= more_constants
    graph = helper.make_graph(
        nodes,
        f"classifier_{fit.settings.kind}",
        [
            helper.make_tensor_value_info(
                "window", TensorProto.FLOAT, [1, lookback, num_instruments, num_features]
            ),
            helper.make_tensor_value_info(
                "portfolio", TensorProto.FLOAT, [1, len(PORTFOLIO_FIELDS) + num_instruments]
            ),
        ],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, num_instruments])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_TREE_DOMAIN, _TREE_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    metadata = {FORMAT_KEY: FORMAT, SCHEMA_KEY: schema_sha256, ACTION_MAP_KEY: ActionMap.WEIGHTS.value}
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


type _Part = tuple[list[onnx.NodeProto], dict[str, npt.NDArray[Any]]]


def _model(fit: ClassifierFit) -> _Part:
    """Nodes from ``x`` (N, F) to ``prob`` (N, 1)."""
    model = fit.pipeline[-1]
    if isinstance(model, LogisticRegression):
        scaler = fit.pipeline[0]
        slope = model.coef_[0] / scaler.scale_
        offset = model.intercept_[0] - float(slope @ scaler.mean_)
        constants = {
            "slope": slope.astype(np.float32)[:, None],
            "offset": np.array([offset], dtype=np.float32),
        }
        nodes = [
            helper.make_node("Gemm", ["x", "slope", "offset"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["prob"]),
        ]
        return nodes, constants
    if isinstance(model, RandomForestClassifier):
        count = len(model.estimators_)
        trees = [(one.tree_, _rise_share(one.tree_.value) / count) for one in model.estimators_]
        return [_ensemble(trees, 0.0, "prob")], {}
    if isinstance(model, GradientBoostingClassifier):
        share = float(model.init_.class_prior_[1])
        trees = [
            (one.tree_, one.tree_.value[:, 0, 0] * model.learning_rate) for one in model.estimators_[:, 0]
        ]
        nodes = [
            _ensemble(trees, log(share / (1.0 - share)), "logit"),
            helper.make_node("Sigmoid", ["logit"], ["prob"]),
        ]
        return nodes, {}
    raise TypeError(f"expected a model that fit_classifier made, found {type(model).__name__}")


def _signal(signal: Signal, num_instruments: int) -> _Part:
    """Nodes from ``prob`` (N, 1) to ``action`` (1, N): `Signal.weights`."""
    numbers = {
        "two": 2.0,
        "one": 1.0,
        "nil": 0.0,
        "dead_zone": signal.dead_zone,
        "gain": signal.gain,
        "least": -1.0 if signal.allow_short else 0.0,
        "count": float(num_instruments),
    }
    nodes = [
        helper.make_node("Mul", ["prob", "two"], ["twice"]),
        helper.make_node("Sub", ["twice", "one"], ["edge"]),
        helper.make_node("Abs", ["edge"], ["strength"]),
        helper.make_node("Less", ["strength", "dead_zone"], ["is_weak"]),
        helper.make_node("Where", ["is_weak", "nil", "edge"], ["acted"]),
        helper.make_node("Mul", ["acted", "gain"], ["wanted"]),
        helper.make_node("Clip", ["wanted", "least", "one"], ["clipped"]),
        helper.make_node("Div", ["clipped", "count"], ["weights"]),
        helper.make_node("Reshape", ["weights", "row"], ["action"]),
    ]
    return nodes, {name: np.array(value, dtype=np.float32) for name, value in numbers.items()}


def _rise_share(values: Floats) -> Floats:
    """Share of rises among the training rows of each node, shape (nodes,)."""
    share: Floats = values[:, 0, 1] / values[:, 0, :].sum(axis=1)
    return share


def _ensemble(trees: Iterable[tuple[Any, Floats]], base: float, output: str) -> onnx.NodeProto:
    """One node that adds up the leaves of all trees and a base."""
    columns: dict[str, Any] = {}

    def add(name: str, values: Iterable[object]) -> None:
        columns.setdefault(name, []).extend(values)

    for number, (tree, leaves) in enumerate(trees):
        left: npt.NDArray[np.int64] = tree.children_left
        right: npt.NDArray[np.int64] = tree.children_right
        feature: npt.NDArray[np.int64] = tree.feature
        threshold: Floats = tree.threshold
        is_leaf = left < 0
        count, ends = len(left), np.flatnonzero(is_leaf)
        add("nodes_treeids", [number] * count)
        add("nodes_nodeids", range(count))
        add("nodes_modes", np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist())
        add("nodes_featureids", np.where(is_leaf, 0, feature).tolist())
        add("nodes_values", np.where(is_leaf, 0.0, rounded_down(threshold)).tolist())
        add("nodes_truenodeids", np.where(is_leaf, 0, left).tolist())
        add("nodes_falsenodeids", np.where(is_leaf, 0, right).tolist())
        add("target_treeids", [number] * len(ends))
        add("target_nodeids", ends.tolist())
        add("target_ids", [0] * len(ends))
        add("target_weights", leaves[ends].tolist())
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        [output],
        domain=_TREE_DOMAIN,
        n_targets=1,
        base_values=[base],
        aggregate_function="SUM",
        post_transform="NONE",
        **columns,
    )


def rounded_down(thresholds: Floats) -> Float32s:
    """Largest single-precision numbers that are no larger: ``x <= t`` stays the same for such an ``x``."""
    single = thresholds.astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)
