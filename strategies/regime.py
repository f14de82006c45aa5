"""Which market regime it is, as a probability per state that uses the past only.

Flow: features → **regime** → observation → policies.
"""

from collections.abc import Mapping, Sequence
from math import dist, exp, inf, isfinite, log, pi, sumprod
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from strategies.market import Floats
from strategies.regime_params import RegimeParams

_LOG_2 = log(2.0)
_LOG_2_PI = log(2.0 * pi)
_TINY_PROB = 1e-200
"""Below this a sum of products may have lost terms to underflow and is taken in logarithms."""


class RegimeBelief(NamedTuple):
    """What is known about the regime once the newest bar has been seen."""

    probs: tuple[float, ...]
    """Filtered probability of each state; they sum to one."""
    state: int
    """The most probable state; the lower number where two are equal."""
    entropy_bits: float
    """Uncertainty of ``probs``: 0 where one state is certain, log2 K where all are equal."""


class RegimeState(NamedTuple):
    """Where a filter stands: all that it knows of the bars it has seen, and of which model that is."""

    params_sha256: str
    probs: tuple[float, ...]
    """Filtered probability of each state."""
    log_filtered: tuple[float, ...] | None
    """Their logarithms, also of what is too small for a probability; None before the first bar."""
    log_likelihood: float
    log_evidence: float

    def as_json(self) -> dict[str, Any]:
        """Plain values; JSON has no infinity, so None stands for the logarithm of 0."""
        logs = self.log_filtered
        finite = None if logs is None else [None if value == -inf else value for value in logs]
        return self._asdict() | {"probs": list(self.probs), "log_filtered": finite}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "RegimeState":
        """Read what `as_json` gave.

        Raises:
            KeyError, TypeError, ValueError: If it is something else.
        """
        logs = fields["log_filtered"]
        return cls(
            str(fields["params_sha256"]),
            tuple(float(prob) for prob in fields["probs"]),
            None if logs is None else tuple(-inf if value is None else float(value) for value in logs),
            float(fields["log_likelihood"]),
            float(fields["log_evidence"]),
        )


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
        "_params_sha256",
        "_score",
        "params",
    )

    def __init__(self, params: RegimeParams) -> None:
        self.params = params
        self._params_sha256 = params.sha256
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

    @property
    def state(self) -> RegimeState:
        """Where it stands."""
        log_filtered = None if self._log_filtered is None else tuple(self._log_filtered)
        return RegimeState(
            self._params_sha256, self._belief.probs, log_filtered, self._log_likelihood, self._log_evidence
        )

    def restore(self, state: RegimeState) -> bool:
        """Stand where it stood, to the bit.

        Returns:
            Whether the state was of this model; of another one it says nothing here, and nothing has changed.
        """
        if state.params_sha256 != self._params_sha256:
            return False
        probs, log_filtered = list(state.probs), state.log_filtered
        self._belief = _belief(probs, _logs(probs) if log_filtered is None else list(log_filtered))
        self._log_filtered = None if log_filtered is None else list(log_filtered)
        self._log_likelihood, self._log_evidence = state.log_likelihood, state.log_evidence
        return True

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
