"""Parameters of a hidden Markov model of the market's regime: checked, hashed, kept as ``.npz``.

Flow: fitted in `ml.hmm` → **parameters** → regime.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strategies.bundle import Bundle
from strategies.config import RegimeConfig
from strategies.errors import ConfigError
from strategies.market import Floats

_ARRAYS = ("initial_probs", "transition_matrix", "means", "covariances")
_SUM_TOLERANCE = 1e-6


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
    def variances(self) -> Floats:
        """Of each feature in each state, shape (K, D)."""
        if self.covariances.ndim == 2:
            return self.covariances
        return np.diagonal(self.covariances, axis1=1, axis2=2)

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
