"""Which kernels there are, and how a line of the manifest becomes one.

Nothing registers itself at import: `kernel_types` walks the package `kernels` when it is called.
"""

import difflib
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from strategies.config import FeatureConfig
from strategies.errors import ConfigError
from strategies.features import kernels
from strategies.features.kernel import CrossKernel, Kernel

type AnyKernel = Kernel | CrossKernel
type Param = int | float | str


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """One line of the manifest with every parameter filled in."""

    kind: str
    revision: int
    params: Mapping[str, Param]
    columns: tuple[str, ...]
    build: Callable[[], AnyKernel]
    """Makes a fresh kernel: one per instrument, or one for all of them if it is a `CrossKernel`."""


def kernel_types() -> dict[str, type[AnyKernel]]:
    """Every kernel class of the package, by its kind, in alphabetical order.

    Raises:
        ConfigError: If two classes claim one kind.
    """
    found: dict[str, type[AnyKernel]] = {}
    for kernel_type in _walk():
        kind = kernel_type.KIND
        if kind in found:
            raise ConfigError(
                f"two kernels are called {kind!r}: {_place(found[kind])} and {_place(kernel_type)}; "
                "rename one of them"
            )
        found[kind] = kernel_type
    return dict(sorted(found.items()))


def resolve(
    feature: FeatureConfig, where: str, types: Mapping[str, type[AnyKernel]], num_instruments: int
) -> KernelSpec:
    """Find the kernel that a line of the manifest names, and fill in its parameters.

    Args:
        feature: The line.
        where: Its place in the configuration, for messages.
        types: Kernels to choose from; see `kernel_types`.
        num_instruments: Width of the panels.

    Raises:
        ConfigError: If kind or a parameter is unknown, or a value is of the wrong type or out of range.
    """
    kernel_type = types.get(feature.kind)
    if kernel_type is None:
        raise ConfigError(f"{where}.kind = {feature.kind!r}: unknown kernel{_hint(feature.kind, types)}")
    params = _fill_in(kernel_type, feature.params, where)
    make: Callable[..., AnyKernel] = kernel_type
    # Only a kernel of the whole panel has to know how wide that is.
    width = (num_instruments,) if issubclass(kernel_type, CrossKernel) else ()
    build = partial(make, *width, **params)
    try:
        columns = build().columns
    except ValueError as error:
        raise ConfigError(f"{where}.params.{error}") from error
    return KernelSpec(feature.kind, kernel_type.REVISION, params, columns, build)


def _walk() -> Iterable[type[AnyKernel]]:
    for info in pkgutil.iter_modules(kernels.__path__):
        module: ModuleType = importlib.import_module(f"{kernels.__name__}.{info.name}")
        for value in vars(module).values():
            # A class counts where it is defined; an import of it elsewhere does not.
            if (
                isinstance(value, type)
                and issubclass(value, Kernel | CrossKernel)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                yield value


def _fill_in(kernel_type: type[AnyKernel], given: Mapping[str, Param], where: str) -> dict[str, Param]:
    parameters = inspect.signature(kernel_type).parameters.values()
    defaults: dict[str, Param] = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name in given:
        if name not in defaults:
            raise ConfigError(f"{where}.params.{name}: unknown parameter{_hint(name, defaults)}")
    return {
        name: _typed(given.get(name, default), default, f"{where}.params.{name}")
        for name, default in defaults.items()
    }


def _typed(value: Param, default: Param, where: str) -> Param:
    # A whole number where a float is meant becomes one, so that 2 and 2.0 have the same hash.
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{where} = {value}: expected a finite number")
        return float(value)
    if type(value) is not type(default):
        expected = {int: "a whole number", float: "a number", str: "a text"}[type(default)]
        raise ConfigError(f"{where} = {value!r}: expected {expected}")
    return value


def _hint(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; expected one of {', '.join(names)}" if names else "; it has no parameters"


def _place(kernel_type: type[AnyKernel]) -> str:
    return f"{kernel_type.__module__}.{kernel_type.__qualname__}"
