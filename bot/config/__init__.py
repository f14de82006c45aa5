"""Configuration: a host file says where and how, the strategy files that it names say what trades.

Flow: TOML → canonical JSON → frozen models (`host`, `strategies.config`) → `loading` → `HostConfig`.

The document that was validated is the document that is hashed, and the hash pins the run. Nothing overlays
and nothing is read from the environment; secrets never enter a configuration.
"""

from bot.config.beside import AlertsConfig, JobsConfig, LogsConfig, RunsConfig
from bot.config.host import (
    AccountConfig,
    AccountType,
    ApiConfig,
    DaemonConfig,
    DataConfig,
    ExecutionConfig,
    FillPolicy,
    GuardianConfig,
    HostKind,
    HostSettings,
    JournalConfig,
    LiveConfig,
    OnStop,
    ReplayConfig,
    VenueConfig,
)
from bot.config.loading import HostConfig, LoadedStrategy, host_from_document, load_host, load_strategy

__all__ = [
    "AccountConfig",
    "AccountType",
    "AlertsConfig",
    "ApiConfig",
    "DaemonConfig",
    "DataConfig",
    "ExecutionConfig",
    "FillPolicy",
    "GuardianConfig",
    "HostConfig",
    "HostKind",
    "HostSettings",
    "JobsConfig",
    "JournalConfig",
    "LiveConfig",
    "LoadedStrategy",
    "LogsConfig",
    "OnStop",
    "ReplayConfig",
    "RunsConfig",
    "VenueConfig",
    "host_from_document",
    "load_host",
    "load_strategy",
]
