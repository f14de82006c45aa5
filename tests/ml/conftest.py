"""The learning plane needs the extra `train`; without it these tests fail here, and say why."""

from importlib.util import find_spec

_MISSING = [name for name in ("gymnasium", "skfolio", "torch") if find_spec(name) is None]
if _MISSING:
    raise ImportError(f"tests/ml needs {', '.join(_MISSING)}: run `make learn` first (make test does)")
