"""Everything that the daemon answers over HTTP, put together: who may ask, under which names, and where.

unix socket   all routes; whoever may write to the file is an admin
port          health and metrics; with ``[api] tokens`` all routes, by the token's role; with ``[api]
              open_to_read`` what a viewer may ask, without a token; with either the dashboard
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from bot.chronicle import Chronicle
from bot.config import HostConfig
from bot.operation.alerting import Alerting
from bot.operation.control import BEAT_SECS, Control
from bot.operation.drift import DriftWatch
from bot.operation.jobs import DaemonJobs
from bot.operation.operator_view import OperatorView, Stop
from bot.operation.recent_errors import RecentErrors
from bot.operation.serving import Serving, token_book
from bot.operation.telemetry import Telemetry
from bot.paper import PaperNode
from bot.runs.supervised import Runs
from ops.api.app import make_app
from ops.api.archive import Archive
from ops.api.fences import fenced
from ops.api.probes import HOSTS, make_probes
from ops.api.stream import LiveStream
from ops.dashboard.files import Dashboard
from ops.loop_lag import LoopLag
from ops.metrics import Events, Exposition
from ops.model_desk import ModelDesk
from ops.state_lock import SOCKET


class Interface:
    """The HTTP interfaces of one daemon.

    Args:
        host: What runs.
        state_dir: Where the socket, the tokens and the journal lie.
        environment: Where systemd says its credentials are.

    Raises:
        ConfigError: If tokens are wanted and the file of them is not right.
    """

    def __init__(self, host: HostConfig, state_dir: Path, environment: Mapping[str, str]) -> None:
        self._host = host
        self._state_dir = state_dir
        self._book = token_book(host.settings.api, state_dir, environment)
        self._serving = Serving()
        self._archive = Archive(state_dir, time.monotonic)
        self._errors = RecentErrors()
        self.live = LiveStream()
        """Told of every record."""
        self.lag = LoopLag(BEAT_SECS)
        """Told of every beat."""
        self._models = ModelDesk(state_dir, self._trading)
        self._runs = Runs(host, state_dir)
        self.operator: OperatorView | None = None
        """What operators see, once there is something to be seen."""

    @property
    def url(self) -> str | None:
        """Where the port is; None where it is switched off."""
        return self._serving.url

    @property
    def greeting(self) -> str | None:
        """What a person may open, in a line; None where the port is switched off."""
        if self.url is None:
            return None
        dashboard = None if self.operator is None else self.operator.dashboard_url
        if dashboard is not None:
            return f"dashboard: {dashboard}"
        return f"health and metrics: {self.url}/readyz and /metrics"

    def open(
        self,
        *,
        session: str,
        started_at: datetime,
        chronicle: Chronicle,
        paper: PaperNode,
        control: Control,
        alerting: Alerting,
        events: Events,
        exposition: Exposition,
        jobs: DaemonJobs,
        drift: DriftWatch,
        state: Callable[[], str],
        stop: Stop,
    ) -> None:
        """Serve from now on.

        Args:
            session: Name of this session.
            started_at: When the daemon was started.
            chronicle: Its journal.
            paper: The node.
            control: What restricts trading.
            alerting: What is told to people.
            events: What was counted.
            exposition: Where that is, beside what is read here.
            jobs: What is done beside trading.
            drift: What is watched of the models.
            state: Says STARTING, READY, STOPPING or STOPPED.
            stop: Begins a stop.

        Raises:
            ConfigError: If the port is taken.
        """
        logging.getLogger().addHandler(self._errors)
        telemetry = Telemetry(
            self._host,
            self._state_dir,
            chronicle=chronicle,
            paper=paper,
            control=control,
            alerting=alerting,
            events=events,
            exposition=exposition,
            others=(jobs.samples, drift.samples),
            state=state,
        )
        self.operator = OperatorView(
            self._host,
            self._state_dir,
            started_at,
            session=session,
            chronicle=chronicle,
            paper=paper,
            control=control,
            api_url=lambda: self._serving.url,
            state=state,
            stop=stop,
            archive=self._archive,
            lag=self.lag,
            errors=self._errors,
        )
        self.live.attach(self.operator.live)
        self._serve(self.operator, telemetry, jobs, events.answered)

    async def until_started(self) -> None:
        """Return once the interfaces answer.

        Raises:
            ConfigError: If one cannot be opened.
        """
        await self._serving.until_started()

    async def begin_runs(self) -> None:
        """Carry out what is asked for beside trading, from now on."""
        await self._runs.start()

    async def close(self) -> None:
        """Answer what has come in, and stop."""
        await self.live.close()
        await self._runs.close()
        await self._serving.close()
        await self._archive.close()
        self._models.close()
        logging.getLogger().removeHandler(self._errors)

    def _trading(self) -> dict[str, str]:
        """Policy of each strategy, by name."""
        rows = [] if self.operator is None else self.operator.strategies()
        return {row["name"]: row["policy_id"] for row in rows}

    def _serve(
        self,
        operator: OperatorView,
        telemetry: Telemetry,
        jobs: DaemonJobs,
        answered: Callable[[str, int], None],
    ) -> None:
        api = self._host.settings.api
        is_full = self._book is not None or api.open_to_read
        # One for both surfaces: who may ask what is up to the fence before it.
        everything = make_app(
            operator,
            self.live,
            probe=telemetry,
            jobs=jobs,
            models=self._models,
            runs=self._runs.routes,
            dashboard=Dashboard(),
        )
        port = fenced(
            everything if is_full else make_probes(telemetry),
            surface="port" if is_full else "probes",
            answered=answered,
            hosts={*HOSTS, api.host, *api.hosts},
            book=self._book,
            monotonic=time.monotonic,
            open_to_read=api.open_to_read,
        )
        self._serving.serve_port(port, api)
        socket = fenced(
            everything,
            surface="commands",
            answered=answered,
            hosts=None,
            book=None,
            monotonic=time.monotonic,
        )
        self._serving.serve_socket(socket, self._state_dir / SOCKET)
