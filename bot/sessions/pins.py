"""What a session of the daemon is pinned to, in its journal, so that it can be replayed with nothing else.

Flow: host → **session pins** → journal → replay.

The pins hold the whole configuration, not only its hash: files change, and a session from last month must
still be replayed as it was.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.config import HostConfig, host_from_document
from bot.config.model_paths import model_paths
from bot.pins import code_sha256
from strategies.errors import ConfigError
from strategies.market import Instrument
from strategies.strategy import PolicyStrategy


def session_pins(host: HostConfig, session: str, started_at: datetime) -> dict[str, Any]:
    """The first record of a session."""
    return {
        "session": session,
        "config": str(host.path.absolute()),
        "config_sha256": host.sha256,
        "code_sha256": code_sha256(),
        "strategies": {loaded.config.name: loaded.sha256 for loaded in host.strategies},
        "started_at": started_at.isoformat(),
        "settings": host.pinned,
        "catalog": str(host.catalog_path.absolute()),
        "strategy_files": [str(loaded.path.absolute()) for loaded in host.strategies],
        "model_paths": [model_paths(loaded.config) for loaded in host.strategies],
    }


def pinned_host(pins: Mapping[str, Any]) -> HostConfig:
    """The configuration that a session ran with.

    Models and parameter files that it names lie where they lay then; their own hashes tell others apart.

    Raises:
        ConfigError: If the pins hold none, as those of earlier versions, or one that this version refuses.
    """
    if "settings" not in pins:
        raise ConfigError(
            f"session {pins.get('session')}: expected its configuration in the journal, found only a hash; "
            "it was recorded by an earlier version and cannot be replayed"
        )
    # Earlier versions wrote them as they were named where the daemon was started: from there they are found.
    path, *files = (Path(one).absolute() for one in (pins["config"], *pins["strategy_files"]))
    return host_from_document(
        pins["settings"],
        path,
        files,
        catalog=str(Path(pins["catalog"]).absolute()),
        models=pins.get("model_paths", [{}] * len(files)),  # earlier versions had them in the settings
    )


def rules_document(strategies: Iterable[PolicyStrategy]) -> dict[str, dict[str, Any]]:
    """Trading rules by instrument, as plain JSON values."""
    return {
        rules.instrument_id: {
            name: str(value) if isinstance(value, Decimal) else value for name, value in asdict(rules).items()
        }
        for strategy in strategies
        for rules in strategy.pipeline.instruments
    }


def rules_from(document: Mapping[str, Mapping[str, Any]]) -> dict[str, Instrument]:
    """What `rules_document` wrote."""
    decimals = {name for name, kind in Instrument.__annotations__.items() if kind is Decimal}

    def read(fields: Mapping[str, Any]) -> Instrument:
        typed: dict[str, Any] = {
            name: Decimal(value) if name in decimals else value for name, value in fields.items()
        }
        return Instrument(**typed)

    return {name: read(fields) for name, fields in document.items()}
