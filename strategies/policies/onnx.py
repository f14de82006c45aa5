"""Policies that were trained elsewhere and arrive as an ONNX file.

Only this module loads onnxruntime; a bot that runs rules never imports it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from math import isfinite
from pathlib import Path

import numpy as np

from strategies.config import ActionMap
from strategies.errors import ConfigError, DataError
from strategies.market import Float32s
from strategies.observation import PORTFOLIO_FIELDS, Observation
from strategies.policies.protocol import Action

# Read when onnxruntime is imported: from 1.29 on it reports usage to its vendor unless told not to.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

FORMAT = "1"
"""Version of the agreement between exporter and this module on names, shapes and metadata."""

FORMAT_KEY = "argonaut.format"
SCHEMA_KEY = "argonaut.schema_sha256"
ACTION_MAP_KEY = "argonaut.action_map"


class OnnxPolicy:
    """Runs one ONNX model with onnxruntime on one thread.

    Inputs ``window`` (1, L, N, F), ``portfolio`` (1, 7 + N) and, where the model wants it, ``beliefs``
    (1, K); output ``action`` (1, N), or (1, N + 1) for ``simplex_cash``; all float32. The feature
    schema hash that the file carries pins L and the meaning of every column.

    Args:
        path: The model.
        policy_id: What stands for it and all that it came with; None takes the hash of the file.
        num_instruments: N.
        num_features: F.
        num_beliefs: Figures of a belief that the observation shows; 0 where it shows none.
        schema_sha256: Hash of the strategy's feature manifest; the file must carry the same.
        action_map: How the strategy reads the action; the file must carry the same.
        deadline_ms: Longest inference that may still trade.
        monotonic: Clock in seconds that the deadline is measured with; None sets no deadline, as in a
            backtest, where a slow machine must not change a decision.

    Raises:
        ConfigError: If the file cannot be read or run, its metadata or shapes differ from what the
            strategy needs, or it answers the same question in two ways.
    """

    def __init__(
        self,
        path: Path,
        *,
        num_instruments: int,
        num_features: int,
        num_beliefs: int,
        schema_sha256: str,
        action_map: ActionMap,
        deadline_ms: float,
        monotonic: Callable[[], float] | None,
        policy_id: str | None = None,
    ) -> None:
        model = _read(path)
        session = open_session(path, model)
        _check_metadata(path, session.get_modelmeta().custom_metadata_map, schema_sha256, action_map)
        inputs = {node.name: node for node in session.get_inputs()}
        outputs = {node.name: node for node in session.get_outputs()}
        num_outputs = num_instruments + (action_map is ActionMap.SIMPLEX_CASH)
        expected: dict[str, tuple[int | None, ...]] = {
            "window": (None, num_instruments, num_features),
            "portfolio": (len(PORTFOLIO_FIELDS) + num_instruments,),
        }
        if num_beliefs and "beliefs" in inputs:
            expected["beliefs"] = (num_beliefs,)
        _check_names(path, "inputs", inputs.keys(), expected.keys())
        _check_names(path, "outputs", outputs.keys(), ("action",))
        buffers = {name: _buffer(path, inputs[name], shape) for name, shape in expected.items()}
        self._output = _buffer(path, outputs["action"], (num_outputs,))

        self.name = "onnx"
        self.required_columns: tuple[str, ...] = ()
        self.policy_id = policy_id or sha256(model).hexdigest()
        self.deadline_misses = 0
        self._action_map = action_map
        self._deadline_secs = deadline_ms / 1e3
        self._monotonic = monotonic
        self._hold = Action.hold(num_instruments)
        self._window = buffers["window"][0]
        self._portfolio = buffers["portfolio"][0]
        self._beliefs = buffers["beliefs"][0] if "beliefs" in buffers else None
        self._action = self._output[0]
        self._binding = binding = _bind(session, buffers, self._output)
        # The public method asks for graphs captured on a GPU first, which costs a tenth of an inference.
        self._run = partial(session._sess.run_with_iobinding, binding._iobinding, None)  # noqa: SLF001
        self._check_repeatable(path)

    def act(self, observation: Observation) -> Action:
        """Answer one observation.

        Returns:
            The model's action; `Action.hold` where inference took longer than the deadline, counted
            in ``deadline_misses``.

        Raises:
            DataError: If the model's answer is not finite.
        """
        monotonic = self._monotonic
        started = monotonic() if monotonic is not None else 0.0
        self._window[...] = observation.window
        self._portfolio[...] = observation.portfolio
        if self._beliefs is not None:
            self._beliefs[...] = observation.beliefs
        self._run()
        if monotonic is not None and monotonic() - started > self._deadline_secs:
            self.deadline_misses += 1
            return self._hold
        values = self._action.tolist()
        if not isfinite(sum(values)):
            raise DataError(f"expected a finite action from the policy {self.policy_id[:12]}, found {values}")
        return Action(tuple(values), self._action_map)

    def reset(self) -> None:
        """Nothing to forget: the window is in the observation."""

    def _check_repeatable(self, path: Path) -> None:
        # Also the warm-up: the first inference allocates and would miss its deadline.
        answers = set()
        for _ in range(2):
            self._run()
            answers.add(self._output.tobytes())
        if len(answers) != 1:
            raise ConfigError(
                f"{path}: expected the same answer to the same input, found two; export without sampling"
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: expected a policy (.onnx), but it cannot be read: {error}") from error


def open_session(path: Path, model: bytes) -> ort.InferenceSession:
    """Load a model as it runs in a daemon: one thread, the same answer to the same input.

    Args:
        path: Where it comes from, for messages.
        model: The file's bytes.

    Raises:
        ConfigError: If onnxruntime does not take it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what it has to say comes as an exception
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base
        raise ConfigError(
            f"{path}: expected a self-contained model of an opset that onnxruntime {ort.__version__} "
            f"knows, but it cannot be loaded: {error}; export it again with an older opset"
        ) from error


def _check_metadata(path: Path, found: Mapping[str, str], schema_sha256: str, action_map: ActionMap) -> None:
    expected = {FORMAT_KEY: FORMAT, SCHEMA_KEY: schema_sha256, ACTION_MAP_KEY: action_map.value}
    for key, value in expected.items():
        if found.get(key) != value:
            raise ConfigError(
                f"{path}: metadata {key}: expected {value!r}, found {found.get(key)!r}; "
                "use the policy that was trained with this strategy file, or train it again"
            )


def _check_names(path: Path, what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    if set(found) != set(expected):
        raise ConfigError(
            f"{path}: {what}: expected {sorted(expected)}, found {sorted(found)}; export it again"
        )


def _buffer(path: Path, node: ort.NodeArg, expected: tuple[int | None, ...]) -> Float32s:
    """Allocate what the model reads or writes; None stands for a length that the model decides."""
    batch, *shape = node.shape or [None]
    fits = len(shape) == len(expected) and all(
        isinstance(length, int) and wanted in (length, None)
        for length, wanted in zip(shape, expected, strict=True)
    )
    # A batch of any size is exported as a name or None instead of a number.
    if not fits or (isinstance(batch, int) and batch != 1) or node.type != "tensor(float)":
        wanted_shape = ", ".join("L" if length is None else str(length) for length in expected)
        raise ConfigError(
            f"{path}: {node.name}: expected tensor(float) of shape (1, {wanted_shape}), found {node.type} "
            f"of shape {node.shape}; the model was exported for other instruments, features or regime states"
        )
    return np.zeros((1, *shape), dtype=np.float32)


def _bind(session: ort.InferenceSession, inputs: Mapping[str, Float32s], output: Float32s) -> ort.IOBinding:
    # The arrays are shared with onnxruntime, not copied: writing into them is all that an inference needs.
    binding = session.io_binding()
    for name, buffer in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(buffer))
    binding.bind_ortvalue_output("action", ort.OrtValue.ortvalue_from_numpy(output))
    return binding
