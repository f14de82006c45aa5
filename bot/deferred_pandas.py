"""Keeps pandas out of a process until something uses it.

The engine imports pandas when a node or a backtest is built, reads its version for the log, and asks
nothing more of it. For that line a daemon would carry some 50 MB for ever and start a second later.
"""

import importlib
import sys
from importlib.metadata import version
from types import ModuleType
from typing import Any

_NAME = "pandas"


def defer_pandas() -> None:
    """Let ``import pandas`` give a stand-in that knows the version and becomes pandas when asked for more.

    Where pandas is loaded already nothing changes.
    """
    sys.modules.setdefault(_NAME, _Deferred(_NAME))


class _Deferred(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return version(_NAME)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(importlib.import_module(_NAME), name)
