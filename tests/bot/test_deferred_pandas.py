"""The engine gets the version of pandas without pandas; whoever wants more gets pandas."""

import subprocess
import sys

from tests.support.data import ROOT

_DEFER = "import sys; from bot.deferred_pandas import defer_pandas; defer_pandas(); import pandas; "
_LOADED = "print(any(name.startswith('pandas.') for name in sys.modules))"


def _output(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    return done.stdout.split()


def test_version_is_known_without_loading_pandas() -> None:
    version, loaded = _output(_DEFER + "print(pandas.__version__); " + _LOADED)

    assert version.count(".") >= 2
    assert loaded == "False"


def test_anything_else_loads_pandas_for_everybody() -> None:
    more = (
        "print(pandas.Timestamp(0, tz='UTC').year); "
        "import pandas as pd; print(pd.DataFrame is pandas.DataFrame)"
    )

    assert _output(_DEFER + more) == ["1970", "True"]


def test_a_module_of_pandas_can_be_imported() -> None:
    assert _output(_DEFER + "from pandas.api.types import is_integer; print(is_integer(1))") == ["True"]


def test_an_engine_is_built_without_pandas() -> None:
    build = (
        "from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig; "
        "from nautilus_trader.common import LoggerConfig; "
        "BacktestEngine(BacktestEngineConfig(logging=LoggerConfig(bypass_logging=True))); "
    )

    assert _output(_DEFER + build + _LOADED) == ["False"]
