"""What would trade once a host is armed, in one document that a person can check."""

from typing import Any

from bot.config import HostConfig
from bot.pins import code_sha256


def summary_of(host: HostConfig) -> dict[str, Any]:
    """Venue, account and strategies with their limits, and the hashes that pin configuration and code."""
    settings = host.settings
    return {
        "kind": settings.kind.value,
        "venue": settings.venue.name,
        "account_type": settings.venue.account_type.value,
        "currency": settings.venue.currency,
        "account_limits": settings.account.model_dump(mode="json"),
        "config_sha256": host.sha256,
        "code_sha256": code_sha256(),
        "strategies": [
            {
                "name": loaded.config.name,
                "sha256": loaded.sha256,
                "instruments": list(loaded.config.instruments),
                "capital_quote": loaded.config.capital_quote,
                "policy": loaded.config.policy.model_dump(mode="json"),
                "daily_loss_quote": loaded.config.guardrails.daily_loss_quote,
                "max_gross_quote": loaded.config.guardrails.max_gross_quote,
            }
            for loaded in host.strategies
        ],
    }
