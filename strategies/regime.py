"""Which market regime it is, as a probability per state that uses the past only.

Flow: features → **regime** → observation → policies.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, exp, inf, isfinite, log, pi, sumprod
from operator import mul
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from strategies.bundle import Bundle
from strategies.config import RegimeConfig
from strategies.errors import ConfigError
from strategies.market import Floats

_ARRAYS = ("initial_probs", "transition_matrix", "means", "covariances")
_SUM_TOLERANCE = 1e-6
_LOG_2 = log(2.0)
_LOG_2_PI = log(2.0 * pi)
_TINY_PROB = 1e-200
"""Below this a sum of products may have lost terms to underflow and is taken in logarithms."""


@dataclass(frozen=True, slots=True, eq=False)
class RegimeParams:
    """Parameters of a Gaussian hidden Markov model with K states over D features.

    Raises:
        ConfigError: If shapes disagree, a row of probabilities does not sum to one, or a covariance
            is not symmetric and positive definite.
    """

    initial_probs: Floats
    """Probability of each state at the first bar, shape (K,)."""
    transition_matrix: Floats
    """Probability of going from state (row) to state (column), shape (K, K)."""
    means: Floats
    """Shape (K, D), in feature units."""
    covariances: Floats
    """Shape (K, D) for diagonal covariances, (K, D, D) for full ones."""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            array = np.array(getattr(self, name), dtype=np.float64, order="C")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        _check_shapes(self)
        _check_probabilities(self)
        _check_covariances(self.covariances)

    @property
    def num_states(self) -> int:
        """Number of states, K."""
        return int(self.means.shape[0])

    @property
    def num_features(self) -> int:
        """Number of features that the model conditions on, D."""
        return int(self.means.shape[1])

    @property
    def sha256(self) -> str:
        """Hash over names, shapes and values; it does not depend on a file's layout."""
        digest = hashlib.sha256()
        for name in _ARRAYS:
            array: Floats = getattr(self, name)
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.astype("<f8").tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the parameters as ``.npz``; the same parameters give the same bytes."""
        with path.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in _ARRAYS})

    @classmethod
    def from_config(
        cls, config: RegimeConfig, base_dir: Path, bundle: Bundle | None = None
    ) -> "RegimeParams":
        """Take the parameters that a strategy file gives inline, or names as a file, or those of its bundle.

        Args:
            config: The section ``regime``.
            base_dir: Directory of the strategy file; ``params_path`` is relative to it.
            bundle: The policy's, where it is one.

        Raises:
            ConfigError: If the file cannot be read, the parameters are invalid, or they describe
                another number of features than ``columns`` names.
        """
        if config.params_path is not None:
            params = load_regime_params(base_dir / config.params_path)
        elif bundle is not None and bundle.regime_path is not None:
            params = load_regime_params(bundle.regime_path)
        else:
            params = cls(
                initial_probs=_array("initial_probs", config.initial_probs),
                transition_matrix=_array("transition_matrix", config.transition_matrix),
                means=_array("means", config.means),
                covariances=_array("variances", config.variances),
            )
        if params.num_features != len(config.columns):
            raise ConfigError(
                f"regime.columns names {len(config.columns)} features {list(config.columns)}, but the "
                f"model's means have {params.num_features}; name the columns that the model was fitted on"
            )
        return params


def load_regime_params(path: Path) -> RegimeParams:
    """Read parameters that `RegimeParams.save` wrote; nothing in the file is executed.

    Raises:
        ConfigError: If the file is missing, is not such an archive, or holds invalid parameters.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path}: expected regime parameters (.npz), but it cannot be read: {error}; save them again"
        ) from error
    if sorted(found) != sorted(_ARRAYS):
        raise ConfigError(
            f"{path}: expected the arrays {sorted(_ARRAYS)}, found {sorted(found)}; save them again"
        )
    try:
        return RegimeParams(**found)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


class RegimeBelief(NamedTuple):
    """What is known about the regime once the newest bar has been seen."""

    probs: tuple[float, ...]
    """Filtered probability of each state; they sum to one."""
    state: int
    """The most probable state; the lower number where two are equal."""
    entropy_bits: float
    """Uncertainty of ``probs``: 0 where one state is certain, log2 K where all are equal."""


class RegimeFilter:
    """Forward (filtering) recursion of a hidden Markov model, one bar at a time.

    With ``a_t = filtered_probs`` and ``A = transition_matrix``:

        predicted_t = Aᵀ a_{t-1}                  (predict; predicted_1 = initial_probs)
        a_t ∝ predicted_t ⊙ p(x_t | z_t)          (condition)

    The belief at *t* depends on ``x_{1:t}`` only. hmmlearn's ``predict_proba`` is *not* a
    substitute: it smooths, so every row but the last has seen the future.
    Conditioning is done in logarithms, so an outlier cannot make it 0/0, and a state that became
    all but impossible can still come back.

    Args:
        params: Fitted parameters; see `RegimeParams` for shapes and units.

    Source:
        Rabiner (1989), eqs. 19-20, normalised per step.
    """

    __slots__ = (
        "_belief",
        "_columns",
        "_initial",
        "_log_columns",
        "_log_evidence",
        "_log_filtered",
        "_log_likelihood",
        "_model",
        "_num_features",
        "_score",
        "params",
    )

    def __init__(self, params: RegimeParams) -> None:
        self.params = params
        self._num_features = params.num_features
        self._initial: list[float] = params.initial_probs.tolist()
        # By column: the probabilities of coming to one state, from each.
        self._columns: list[list[float]] = params.transition_matrix.T.tolist()
        self._log_columns = [_logs(column) for column in self._columns]
        self._score = _score_diagonal if params.covariances.ndim == 2 else _score_full
        self._model = _gaussians(params)
        self.reset()

    @property
    def belief(self) -> RegimeBelief:
        """Belief after the newest bar; the initial probabilities before the first."""
        return self._belief

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of all bars seen, log p(x_1, …, x_t), in nats; 0 before the first."""
        return self._log_likelihood

    @property
    def log_evidence(self) -> float:
        """How well the newest bar was foreseen, log p(x_t | x_1, …, x_t-1), in nats; 0 before the first."""
        return self._log_evidence

    def reset(self) -> None:
        """Forget all bars."""
        self._log_filtered: list[float] | None = None
        self._log_likelihood = self._log_evidence = 0.0
        self._belief = _belief(self._initial, _logs(self._initial))

    def update(self, x: Sequence[float]) -> RegimeBelief:
        """Condition on one feature vector and return the new belief.

        Args:
            x: Feature vector, shape (D,), in feature-pipeline units; a list is fastest.

        Raises:
            ValueError: If ``x`` has the wrong shape, is not finite, or lies so far out (beyond 1e150
                standard deviations) that no state can score it. The state is unchanged, so a bad
                bar costs one decision, never the filter.
        """
        if type(x) is not list or len(x) != self._num_features:
            x = _as_list(x, self._num_features)
        log_joint = self._score(x, self._model, self._log_predicted())
        highest = max(log_joint)
        # Any NaN or infinity in x makes every entry NaN or -inf, so looking at one is enough.
        if not isfinite(highest):
            raise ValueError(f"expected finite features that some state can score, found {list(x)}")
        shares = [exp(value - highest) for value in log_joint]
        total = sum(shares)
        log_evidence = highest + log(total)
        log_filtered = [value - log_evidence for value in log_joint]
        self._belief = _belief([share / total for share in shares], log_filtered)
        self._log_filtered = log_filtered
        self._log_evidence = log_evidence
        self._log_likelihood += log_evidence
        return self._belief

    def _log_predicted(self) -> list[float]:
        log_filtered = self._log_filtered
        if log_filtered is None:
            return _logs(self._initial)
        filtered = self._belief.probs
        predicted = [sumprod(column, filtered) for column in self._columns]
        if min(predicted) > _TINY_PROB:
            return [log(prob) for prob in predicted]
        return [_log_sum_exp(column, log_filtered) for column in self._log_columns]


def fold(params: RegimeParams, rows: Floats) -> Floats:
    """Filter a whole series: the belief of each row uses that row and the rows before it only.

    Args:
        params: Fitted parameters.
        rows: Feature vectors, shape (T, D).

    Returns:
        Filtered probabilities, shape (T, K).
    """
    regime = RegimeFilter(params)
    filtered_probs = [regime.update(row).probs for row in rows.tolist()]
    return np.array(filtered_probs, dtype=np.float64).reshape(len(rows), params.num_states)


class _Gaussians(NamedTuple):
    """``log p(x) = log_scale - ½ ‖W x - W mean‖²`` of every state, with WᵀW the inverse of its covariance."""

    whitenings: list[Any]
    """W of each state, row by row; where all are diagonal, their diagonals in one row."""
    states: list[tuple[Any, tuple[float, ...], float]]
    """Where W is in ``whitenings``, ``W mean`` and ``log_scale``; bare tuples are taken apart fastest."""


# Lists of one length by construction: to have `zip` see to that costs as much as it does.
def _score_diagonal(x: list[float], model: _Gaussians, log_predicted: list[float]) -> list[float]:
    whitenings, states = model
    whitened = tuple(map(mul, whitenings, x * len(states)))
    return [
        log_prob + log_scale - 0.5 * (distance := dist(whitened[place], mean)) * distance
        for (place, mean, log_scale), log_prob in zip(states, log_predicted)  # noqa: B905 - as above
    ]


def _score_full(x: list[float], model: _Gaussians, log_predicted: list[float]) -> list[float]:
    whitenings, states = model
    return [
        log_prob
        + log_scale
        - 0.5 * (distance := dist([sumprod(row, x) for row in whitenings[at]], mean)) * distance
        for (at, mean, log_scale), log_prob in zip(states, log_predicted)  # noqa: B905 - as above
    ]


def _gaussians(params: RegimeParams) -> _Gaussians:
    places: Sequence[int | slice]
    if params.covariances.ndim == 2:
        whitenings = 1.0 / np.sqrt(params.covariances)
        whitened_means = whitenings * params.means
        log_determinants = np.log(params.covariances).sum(axis=1)
        length = params.num_features
        places = [slice(at * length, (at + 1) * length) for at in range(params.num_states)]
        whitenings = whitenings.ravel()
    else:
        factors = np.linalg.cholesky(params.covariances)
        whitenings = np.linalg.inv(factors)
        whitened_means = np.einsum("kij,kj->ki", whitenings, params.means)
        log_determinants = 2.0 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        places = range(params.num_states)
    log_scales = -0.5 * (params.num_features * _LOG_2_PI + log_determinants)
    means = map(tuple, whitened_means.tolist())
    return _Gaussians(whitenings.tolist(), list(zip(places, means, log_scales.tolist(), strict=True)))


def _belief(probs: list[float], log_probs: list[float]) -> RegimeBelief:
    if min(probs) > 0.0:
        entropy = -sumprod(probs, log_probs)
    else:  # 0 · log 0 = 0: a state that is ruled out adds nothing
        entropy = -sum(prob * log_prob for prob, log_prob in zip(probs, log_probs, strict=True) if prob > 0.0)
    entropy_bits = entropy / _LOG_2
    # Rounding may leave a little less than nothing.
    return RegimeBelief(tuple(probs), probs.index(max(probs)), max(0.0, entropy_bits))


def _logs(probs: Sequence[float]) -> list[float]:
    return [log(prob) if prob > 0.0 else -inf for prob in probs]


def _log_sum_exp(left: list[float], right: list[float]) -> float:
    terms = [a + b for a, b in zip(left, right, strict=True)]
    highest = max(terms)
    if highest == -inf:
        return highest
    return highest + log(sum(exp(term - highest) for term in terms))


def _as_list(x: Sequence[float], num_features: int) -> list[float]:
    array = np.asarray(x, dtype=np.float64)
    if array.shape != (num_features,):
        raise ValueError(f"expected a feature vector of shape ({num_features},), found {array.shape}")
    values: list[float] = array.tolist()
    return values


def _array(name: str, values: object) -> Floats:
    try:
        return np.array(values, dtype=np.float64)
    except ValueError as error:
        raise ConfigError(f"regime.{name}: expected rows of equal length, found {values}") from error


def _check_shapes(params: RegimeParams) -> None:
    if params.means.ndim != 2 or 0 in params.means.shape:
        raise ConfigError(f"means: expected shape (states, features), found {params.means.shape}")
    states, features = params.means.shape
    expected: dict[str, tuple[tuple[int, ...], ...]] = {
        "initial_probs": ((states,),),
        "transition_matrix": ((states, states),),
        "covariances": ((states, features), (states, features, features)),
    }
    for name, shapes in expected.items():
        array: Floats = getattr(params, name)
        if array.shape not in shapes:
            wanted = " or ".join(map(str, shapes))
            raise ConfigError(f"{name}: expected shape {wanted} to go with the means, found {array.shape}")
    for name in _ARRAYS:
        if not np.isfinite(getattr(params, name)).all():
            raise ConfigError(f"{name}: expected finite numbers, found {getattr(params, name).tolist()}")


def _check_probabilities(params: RegimeParams) -> None:
    for name in ("initial_probs", "transition_matrix"):
        rows = np.atleast_2d(getattr(params, name))
        if (rows < 0.0).any() or (np.abs(rows.sum(axis=1) - 1.0) > _SUM_TOLERANCE).any():
            raise ConfigError(f"{name}: expected rows that are >= 0 and sum to 1, found {rows.tolist()}")


def _check_covariances(covariances: Floats) -> None:
    if covariances.ndim == 2:
        is_valid = bool((covariances > 0.0).all())
    else:
        is_valid = np.allclose(covariances, covariances.transpose(0, 2, 1), rtol=1e-9, atol=0.0)
        try:
            np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            is_valid = False
    if not is_valid:
        raise ConfigError(
            "covariances: expected positive variances, or symmetric positive definite matrices, "
            f"found {covariances.tolist()}"
        )
