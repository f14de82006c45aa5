"""A training from its file to a bundle: ``argonaut train``.

Flow: training file + catalog → research → ml.training → bundle, registry.

    var/training/<run>/    checkpoints, progress.jsonl, tensorboard/, while it runs and after
    var/training.sqlite    which trainings there were
    var/models/<name>/<id> what came out, and ``latest``, a link to the newest

This is the only module of `bot` that reaches a trainer; no daemon and no backtest imports it.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from adapters.catalog import Catalog
from adapters.instruments import spec_of
from bot.assembly import trading_rules
from bot.config import AccountType, HostConfig, LoadedStrategy, load_host
from bot.config.documents import beside, document_sha256, read_document, validate
from bot.config.problems import refuse
from bot.config.reference import reference_of
from bot.embedded_data import VENUE as GENERATED_VENUE
from bot.embedded_data import store_generated
from bot.learning.research import dataset_of
from bot.pins import code_sha256
from ml.bundles import BundleContents, write_bundle
from ml.datasets import Dataset
from ml.hmm import Covariance
from ml.networks import Policy
from ml.ppo_config import Stats
from ml.registry import Registry, Run, RunState
from ml.tracking import Tracker
from ml.training import LAST, Task, Trained, train_model
from ml.training_config import TrainingConfig
from ops.model_store import ModelStore
from ops.state_lock import try_lock
from strategies.bundle import MANIFEST, SCORECARD, Bundle, open_bundle, schema_of_model
from strategies.errors import ConfigError
from strategies.features.manifest import read_manifest
from strategies.regime_params import RegimeParams, load_regime_params

REGISTRY = "training.sqlite"
RUNS = "training"
_NOT_OF_THE_MODEL = {"host", "strategy", "workers"}
"""Settings that say nothing of what is learned; host and strategy are pinned by what is in them."""
_LIBRARIES = ("numpy", "scipy", "torch")


@dataclass(frozen=True, slots=True)
class LoadedTraining:
    """A training file, and the host and strategy that it names, read and found good."""

    path: Path
    config: TrainingConfig
    host: HostConfig
    sha256: str
    """Hash of all settings, those of host and strategy included; where files lie does not matter."""

    @property
    def strategy(self) -> LoadedStrategy:
        """What is trained."""
        return self.host.strategies[0]


@dataclass(frozen=True, slots=True)
class FinishedTraining:
    """What came out."""

    run: Run
    bundle: Bundle
    scorecard: Mapping[str, Any]
    is_new: bool
    """Whether it was trained now; an equal training that was done before is not done again."""


def load_training(path: Path) -> LoadedTraining:
    """Read a training file.

    Raises:
        ConfigError: If anything in it, or in a file that it names, is wrong.
    """
    document, problems = read_document(path)
    config, refused = validate(path, document, TrainingConfig)
    refuse([*problems, *refused])
    assert config is not None
    overrides = {"data.start": config.start, "data.end": config.end}
    given: dict[str, Any] = {key: value for key, value in overrides.items() if value is not None}
    given["strategies"] = [str(beside(path, config.strategy).resolve())]
    host = load_host(beside(path, config.host), given)
    if config.generate is not None and host.settings.venue.name != GENERATED_VENUE:
        raise ConfigError(
            f"{path}: generate: only the venue {GENERATED_VENUE} is generated, and {host.path} trades on "
            f"{host.settings.venue.name}; leave it out"
        )
    if host.strategies[0].config.policy.kind != "bundle":
        raise ConfigError(
            f'{host.strategies[0].path}: policy.kind = "{host.strategies[0].config.policy.kind}": expected '
            '"bundle": a training makes one'
        )
    pinned = config.model_dump(mode="json", exclude=_NOT_OF_THE_MODEL)
    pinned["costs"] = host.settings.costs.model_dump(mode="json")
    pinned["venue"] = host.settings.venue.model_dump(mode="json")
    # Where the bundle will lie when it is traded says nothing of how it is trained.
    pinned["strategy"] = host.strategies[0].config.model_dump(mode="json", exclude={"policy": {"path"}})
    return LoadedTraining(path, config, host, document_sha256(pinned))


def training_schema() -> dict[str, Any]:
    """JSON Schema of a training file."""
    return TrainingConfig.model_json_schema()


def training_reference() -> str:
    """The text of ``configs/training_reference.toml``."""
    return reference_of(
        "a training file",
        "argonaut config schema --training > configs/training_reference.toml",
        [("Training file: what learns, from what, and how (configs/training.toml)", TrainingConfig)],
    )


def train(
    loaded: LoadedTraining,
    state_dir: Path,
    *,
    now_ns: Callable[[], int],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    check_wanted: Callable[[], None] = lambda: None,
    begun: Callable[[Path], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> FinishedTraining:
    """Train, or go on with a training that was interrupted, and write the bundle.

    Args:
        loaded: What to train.
        state_dir: Runs, registry and models lie here.
        now_ns: Wall clock, UTC nanoseconds; for the registry alone.
        progress: Told how many of how many samples are done.
        check_wanted: Raises what shall end the run; asked after each update.
        begun: Told the directory of the run before it is trained.
        say: Takes a line for a person.

    Raises:
        CatalogError: If bars are missing or damaged.
        ConfigError: If settings do not fit, or another process trains the same.
        DataError: If the data are too short, or a loss is not finite.
    """
    name = loaded.strategy.config.name
    registry, store = Registry(state_dir / REGISTRY), ModelStore(state_dir)
    parent = store.active(name)
    with _catalog(loaded) as catalog:
        work = _Work.of(loaded, catalog, parent)
    run = registry.queue(work.as_run(now_ns()))
    done = store.directory(name) / (run.bundle_id or "")[:12]
    if run.state is RunState.SUCCEEDED and (done / MANIFEST).is_file():
        bundle = open_bundle(done)
        return FinishedTraining(run, bundle, bundle.document(SCORECARD), is_new=False)
    run_dir = state_dir / run.run_dir
    lock = try_lock(run_dir)
    if lock is None:
        raise ConfigError(f"run {run.run_id}: another process is at it; wait for it, or change the seed")
    with lock, _recorded(registry, run.run_id, now_ns), Tracker(run_dir) as tracker:
        begun(run_dir)
        if list(run_dir.glob(f"*/{LAST}")):
            say(f"going on with {run.run_id} from its last checkpoint")
        total, before, last = loaded.config.total_timesteps, 0, 0

        def on_update(stats: Stats, policy: Policy) -> None:
            nonlocal before, last
            before += last if stats.timesteps < last else 0  # the next trainer begins to count
            last = stats.timesteps
            tracker(stats, policy, before + last)
            progress(min(before + last, total), total)
            check_wanted()

        trained = train_model(
            work.dataset,
            work.task,
            run_dir,
            on_update=on_update,
            previous_regime=_previous_regime(loaded, parent),
        )
        bundle = write_bundle(store.directory(name), work.contents(loaded, trained))
        store.point(name, "latest", bundle)
    run = registry.move(run.run_id, RunState.SUCCEEDED, now_ns(), bundle_id=bundle.bundle_id)
    return FinishedTraining(run, bundle, trained.scorecard, is_new=True)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is trained on, and all that the result depends on."""

    dataset: Dataset
    task: Task
    pins: Mapping[str, Any]

    @classmethod
    def of(cls, loaded: LoadedTraining, catalog: Catalog, parent: Bundle | None) -> Self:
        settings, strategy = loaded.host.settings, loaded.strategy.config
        dataset = dataset_of(loaded.strategy, catalog, settings.data.start_ns, settings.data.end_ns)
        may_short = settings.venue.account_type is AccountType.MARGIN
        task = Task(
            strategy=strategy,
            instruments=[
                trading_rules(spec_of(catalog.instrument(name)), may_short=may_short)
                for name in strategy.instruments
            ],
            costs=settings.costs,
            config=loaded.config,
            bars_per_year=settings.venue.bars_per_year(strategy.interval),
        )
        pins = {
            "argonaut": version("argonaut"),
            "code_sha256": code_sha256("ml", "strategies"),
            "config_sha256": loaded.sha256,
            "data_sha256": dataset.content_sha256(),
            "libraries": {name: version(name) for name in _LIBRARIES},
            "parent": None if parent is None else parent.bundle_id,
        }
        return cls(dataset, task, pins)

    def as_run(self, now_ns: int) -> Run:
        name = self.task.strategy.name
        run_id = f"{name}-{document_sha256(dict(self.pins))[:12]}"
        return Run(
            run_id=run_id,
            name=name,
            state=RunState.QUEUED,
            created_ns=now_ns,
            started_ns=None,
            ended_ns=None,
            code_sha256=self.pins["code_sha256"],
            data_sha256=self.pins["data_sha256"],
            config_sha256=self.pins["config_sha256"],
            run_dir=f"{RUNS}/{run_id}",
            bundle_id=None,
            message="",
        )

    def contents(self, loaded: LoadedTraining, trained: Trained) -> BundleContents:
        strategy, dataset = self.task.strategy, self.dataset
        num_states = trained.regime.num_states if trained.regime and strategy.shows_beliefs else 0
        return BundleContents(
            strategy=strategy,
            schema=schema_of_model(strategy, dataset.schema_sha256, num_states),
            features_json=read_manifest(strategy.features, dataset.num_instruments).canonical_json(),
            policy=trained.policy,
            regime=trained.regime,
            training=loaded.config.model_dump(mode="json", exclude=_NOT_OF_THE_MODEL),
            lineage={"data": dataset.manifest(), **self.pins},
            scorecard=trained.scorecard,
            drift=trained.drift.as_json(),
        )


def _previous_regime(loaded: LoadedTraining, parent: Bundle | None) -> RegimeParams | None:
    """The regime model that trades, if it is one of this kind: its states keep their numbers."""
    regime, settings = loaded.strategy.config.regime, loaded.config.regime
    if parent is None or parent.regime_path is None or regime is None:
        return None
    params = load_regime_params(parent.regime_path)
    is_diagonal = settings.covariance is Covariance.DIAGONAL
    found = (parent.schema.regime_columns, params.num_states, params.covariances.ndim == 2)
    return params if found == (regime.columns, settings.num_states, is_diagonal) else None


@contextmanager
def _catalog(loaded: LoadedTraining) -> Iterator[Catalog]:
    """The host's catalog, or one with a generated market that lasts as long as the block."""
    generate, host = loaded.config.generate, loaded.host
    if generate is None:
        yield Catalog(host.catalog_path)
        return
    with tempfile.TemporaryDirectory(prefix="argonaut-") as directory:
        store_generated(Path(directory), host, seed=generate.seed, days=generate.days)
        yield Catalog(Path(directory))


@contextmanager
def _recorded(registry: Registry, run_id: str, now_ns: Callable[[], int]) -> Iterator[None]:
    """Note that a training runs, and how it failed if it does."""
    registry.move(run_id, RunState.RUNNING, now_ns())
    try:
        yield
    except KeyboardInterrupt:
        registry.move(run_id, RunState.CANCELLED, now_ns(), message="interrupted; the same command goes on")
        raise
    except Exception as error:
        registry.move(run_id, RunState.FAILED, now_ns(), message=f"{type(error).__name__}: {error}")
        raise
