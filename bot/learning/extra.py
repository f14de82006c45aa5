"""What learns is an extra: a machine that only trades goes without."""

from importlib.util import find_spec

from strategies.errors import ConfigError


def require_trainer() -> None:
    """Make sure that what learns is installed; to be called before it is imported.

    Raises:
        ConfigError: If it is not, with what to do.
    """
    if find_spec("torch") is None:
        raise ConfigError("training needs more than trading does: run `make learn`, then this again")
