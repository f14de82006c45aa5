"""Reading host and strategy files: every problem of every file at once, and one hash that pins the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.config.documents import Document, beside, document_sha256, near_file, read_document, validate
from bot.config.host import SECTIONS_OF_ONE_KIND, FillPolicy, HostKind, HostSettings
from bot.config.model_paths import (
    PARAMS_PATH,
    ModelPaths,
    params_sha256,
    with_model_paths,
    without_model_paths,
)
from bot.config.problems import Problem, refuse, shown
from bot.config.supplies import check_supplies
from strategies.config import StrategyConfig
from strategies.errors import ConfigError

_UNPINNED = frozenset({"alerts", "api", "jobs", "logs", "runs"})
"""Sections that change nothing about what is traded."""


@dataclass(frozen=True, slots=True)
class LoadedStrategy:
    """A strategy file that was read and found good."""

    path: Path
    config: StrategyConfig
    sha256: str
    """Hash of the configuration with all defaults in place; comments and order do not matter, nor where its
    models lie."""
    params_sha256: str | None = None
    """Of the file with parameters of the regime model; part of `sha256`."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A host file and the strategy files that it names, read and found good."""

    path: Path
    settings: HostSettings
    strategies: tuple[LoadedStrategy, ...]
    """In the order in which they are called."""
    sha256: str
    """Pins the run: hash over host and strategies with all defaults in place, less where files lie, models
    among them, and who is served."""

    @property
    def catalog_path(self) -> Path:
        """Directory of the catalog."""
        return beside(self.path, self.settings.data.catalog)

    @property
    def training_path(self) -> Path | None:
        """Training file of the job ``retrain``; None where there is none."""
        name = self.settings.jobs.training
        return None if name is None else beside(self.path, name)

    @property
    def backup_path(self) -> Path | None:
        """Folder for backups; None where the state directory has it."""
        folder = self.settings.jobs.backup_dir
        return None if folder is None else beside(self.path, folder)

    @property
    def anchor_path(self) -> Path | None:
        """File for the hashes of the journal's checkpoints; None where none is wanted."""
        file = self.settings.journal.anchor_file
        return None if file is None else beside(self.path, file)

    @property
    def pinned(self) -> Document:
        """What the hash is of; `host_from_document` reads it back."""
        return _pinned(self.settings, self.strategies)

    def as_file(self, models: Mapping[str, ModelPaths] | None = None) -> Document:
        """A host file that amounts to this, its strategies in it, with all defaults in place.

        Paths in it count from the folder where it is put.

        Args:
            models: Where the models of each strategy will lie, by its name; None leaves them as they are.
        """
        whole = self.document()
        if models is not None:
            whole["strategies"] = [
                with_model_paths(one, models.get(one["name"], {})) for one in whole["strategies"]
            ]
        foreign = {name for name, kind in SECTIONS_OF_ONE_KIND.items() if kind is not self.settings.kind}
        host = {name: value for name, value in whole["host"].items() if name not in foreign}
        return host | {"strategies": whole["strategies"]}

    def document(self) -> Document:
        """What the hash is of, plus where files lie and who is served."""
        pinned = self.pinned
        pinned["host"]["data"]["catalog"] = self.settings.data.catalog
        pinned["host"]["journal"]["anchor_file"] = self.settings.journal.anchor_file
        pinned["strategies"] = [one.config.model_dump(mode="json") for one in self.strategies]
        for unpinned in sorted(_UNPINNED):
            pinned["host"][unpinned] = getattr(self.settings, unpinned).model_dump(mode="json")
        return pinned


def load_host(path: Path, overrides: Mapping[str, Any] | None = None) -> HostConfig:
    """Read a host file and its strategy files.

    Args:
        path: The host file.
        overrides: Values that replace those of the file, by dotted key such as ``data.start``. Paths
            among them count from the host file's directory, as those in the file do.

    Raises:
        ConfigError: If anything in any of the files is wrong; the message has a line for each problem.
    """
    overrides = overrides or {}
    document, problems = read_document(path)
    if document is not None:
        problems += _replace(document, overrides, str(path))
    settings, refused = validate(path, _named(document), HostSettings)
    problems += [_mark_override(problem, overrides) for problem in refused]
    # A bad host file still shows what is wrong with the strategies that it names.
    loaded, refused = _load_strategies(path, document)
    problems += refused
    if settings is not None:
        problems += _check_together(path, settings, loaded)
    refuse(problems)
    assert settings is not None
    return HostConfig(path, settings, tuple(loaded), document_sha256(_pinned(settings, loaded)))


def host_from_document(
    document: Document,
    path: Path,
    strategy_files: Sequence[Path],
    *,
    catalog: str,
    models: Sequence[ModelPaths],
) -> HostConfig:
    """Make a host of the document that its hash is of.

    Args:
        document: As `HostConfig.pinned` gave it.
        path: Where the host file lay; messages name it.
        strategy_files: Where the strategy files lay; what they name lies beside them.
        catalog: Where the bars lay, which is not pinned.
        models: Likewise the models of each strategy.

    Raises:
        ConfigError: If this version refuses it; the message has a line for each problem.
    """
    # The document has all defaults in place, also those of sections that a host of this kind must not have.
    foreign = {name for name, kind in SECTIONS_OF_ONE_KIND.items() if kind != document["host"]["kind"]}
    host = {name: value for name, value in document["host"].items() if name not in foreign}
    host |= {"strategies": [str(one) for one in strategy_files], "data": host["data"] | {"catalog": catalog}}
    settings, problems = validate(path, host, HostSettings)
    loaded: list[LoadedStrategy] = []
    for one, fields, paths in zip(strategy_files, document["strategies"], models, strict=True):
        config, refused = validate(one, with_model_paths(fields, paths), StrategyConfig)
        problems += refused
        if config is not None:
            strategy, refused = _loaded(one, config)
            problems += refused
            loaded += [] if strategy is None else [strategy]
    refuse(problems)
    assert settings is not None
    return HostConfig(path, settings, tuple(loaded), document_sha256(_pinned(settings, loaded)))


def load_strategy(path: Path) -> LoadedStrategy:
    """Read one strategy file.

    Raises:
        ConfigError: If anything in it is wrong; the message has a line for each problem.
    """
    loaded, problems = _load_strategy(path)
    refuse(problems)
    assert loaded is not None
    return loaded


def is_host(path: Path) -> bool:
    """Whether a file means to be a host file rather than a strategy file."""
    document, _ = read_document(path)
    return document is not None and ("kind" in document or "strategies" in document)


def is_training(path: Path) -> bool:
    """Whether a file means to be a training file: it names a host and a strategy."""
    document, _ = read_document(path)
    return (
        document is not None and "kind" not in document and bool({"host", "trainer", "ppo"} & set(document))
    )


def _pinned(settings: HostSettings, strategies: Sequence[LoadedStrategy]) -> Document:
    places = {"data": {"catalog"}, "journal": {"anchor_file"}}
    host = settings.model_dump(
        mode="json", exclude={"strategies": True, **places, **dict.fromkeys(_UNPINNED, True)}
    )
    params = {one.config.name: one.params_sha256 for one in strategies if one.params_sha256 is not None}
    pinned = {"host": host, "strategies": [without_model_paths(one.config) for one in strategies]}
    return pinned | ({"regime_params": params} if params else {})


def _load_strategy(path: Path) -> tuple[LoadedStrategy | None, list[Problem]]:
    document, problems = read_document(path)
    loaded, refused = _check_strategy(path, document)
    return loaded, problems + refused


def _check_strategy(path: Path, document: Document | None) -> tuple[LoadedStrategy | None, list[Problem]]:
    config, problems = validate(path, document, StrategyConfig)
    if config is None:
        return None, problems
    problems += check_supplies(path, config)
    loaded, refused = _loaded(path, config)
    return loaded, problems + refused


def _loaded(path: Path, config: StrategyConfig) -> tuple[LoadedStrategy | None, list[Problem]]:
    try:
        params = params_sha256(config, path.parent)
    except ConfigError as error:
        return None, [Problem(str(path), PARAMS_PATH, f": {error}")]
    pinned = without_model_paths(config) | ({} if params is None else {"regime_params": params})
    return LoadedStrategy(path, config, document_sha256(pinned), params), []


def _named(document: Document | None) -> Document | None:
    """The host's own part of its file: strategies that stand in it as tables go by their names."""
    names = (document or {}).get("strategies")
    if document is None or not isinstance(names, list):
        return document
    return document | {
        "strategies": [one.get("name", "?") if isinstance(one, dict) else one for one in names]
    }


def _load_strategies(host: Path, document: Document | None) -> tuple[list[LoadedStrategy], list[Problem]]:
    names = (document or {}).get("strategies")
    loaded: list[LoadedStrategy] = []
    problems: list[Problem] = []
    seen: dict[Path, int] = {}
    for at, name in enumerate(names if isinstance(names, list) else []):
        if isinstance(name, dict):
            one, refused = _check_strategy(host, name)
            problems += refused
            loaded += [one] if one is not None else []
        if not isinstance(name, str):
            continue
        path = beside(host, name)
        key = f"strategies[{at}]"
        if path in seen:
            problems.append(
                Problem(str(host), key, f" = {shown(name)}: the same file as strategies[{seen[path]}]")
            )
        elif not _is_file(path):
            near = near_file(path, folder=f"{Path(name).parent}/")
            problems.append(Problem(str(host), key, f" = {shown(name)}: no such file{near}"))
        else:
            one, refused = _load_strategy(path)
            problems += refused
            loaded += [one] if one is not None else []
        seen.setdefault(path, at)
    return loaded, problems


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _check_together(host: Path, settings: HostSettings, loaded: Sequence[LoadedStrategy]) -> list[Problem]:
    problems: list[Problem] = []
    problems += _check_adoption(host, settings.reconciliation.adopt, loaded)
    owners: dict[str, Path] = {}
    for one in loaded:
        name, venue = one.config.name, settings.venue.name
        if name in owners:
            message = f" = {shown(name)}: {owners[name]} has this name already; expected one of its own"
            problems.append(Problem(str(one.path), "name", message))
        owners.setdefault(name, one.path)
        problems += [
            Problem(
                str(one.path),
                f"instruments[{at}]",
                f" = {shown(instrument)}: expected an instrument of {venue}, the venue of {host}",
            )
            for at, instrument in enumerate(one.config.instruments)
            if instrument.rpartition(".")[2] != venue
        ]
    if settings.kind is not HostKind.BACKTEST and settings.execution.fill_policy is FillPolicy.VWAP_WINDOW:
        message = ' = "vwap_window": only a backtest works orders over time; expected "next_open"'
        problems.append(Problem(str(host), "execution.fill_policy", message))
    asked = sum(one.config.capital_quote for one in loaded)
    balance = settings.venue.starting_balance
    if settings.kind is not HostKind.LIVE and asked > balance:
        message = f" = {balance:g}: the strategies' capital_quote sums to {asked:g}; expected at least that"
        problems.append(Problem(str(host), "venue.starting_balance", message))
    return problems


def _check_adoption(host: Path, adopt: Mapping[str, str], loaded: Sequence[LoadedStrategy]) -> list[Problem]:
    traded = {one.config.name: one.config.instruments for one in loaded}
    problems = []
    for instrument, name in adopt.items():
        if instrument not in traded.get(name, ()):
            able = [one for one, instruments in traded.items() if instrument in instruments]
            expected = f"one of {', '.join(able)}" if able else "an instrument that a strategy here trades"
            problems.append(
                Problem(
                    str(host),
                    f"reconciliation.adopt.{instrument}",
                    f" = {shown(name)}: expected {expected}",
                )
            )
    return problems


def _replace(document: Document, overrides: Mapping[str, Any], file: str) -> list[Problem]:
    problems = []
    for key, value in overrides.items():
        *sections, name = key.split(".")
        at: Any = document
        for section in sections:
            at = at.setdefault(section, {}) if isinstance(at, dict) else None
        if isinstance(at, dict):
            at[name] = value
        else:
            problems.append(
                Problem(file, key, f" = {shown(value, name)}: [{'.'.join(sections)}] is not a table")
            )
    return problems


def _mark_override(problem: Problem, overrides: Mapping[str, Any]) -> Problem:
    given = problem.key.partition("[")[0] in overrides
    return problem._replace(message=f"{problem.message} (given on the command line)") if given else problem
