"""Which kinds of policy a strategy file may name: what each does, and its parameters, for people."""

import inspect
from functools import cache
from typing import Any, get_args

from bot.config.schema import describe, schema_of
from strategies.config import PolicyConfig
from strategies.policies.baselines import BuyAndHoldPolicy, FixedWeightsPolicy, RandomPolicy
from strategies.policies.donchian import DonchianPolicy

_RULES: dict[str, type] = {
    "donchian": DonchianPolicy,
    "flat": FixedWeightsPolicy,
    "equal": FixedWeightsPolicy,
    "first_long": FixedWeightsPolicy,
    "random": RandomPolicy,
    "buy_and_hold": BuyAndHoldPolicy,
}
"""Kinds that are explained where they are written; a trained one is what its section says it is."""


@cache
def policy_kinds() -> list[dict[str, Any]]:
    """One row a kind."""
    union, _ = get_args(PolicyConfig.__value__)
    rows = []
    for section in get_args(union):
        schema = schema_of(section)
        required = schema.get("required", [])
        parameters = [
            {
                "name": name,
                "expected": describe(one),
                "default": one.get("default"),
                "is_required": name in required,
                "about": " ".join(one.get("description", "").split()),
            }
            for name, one in schema["properties"].items()
            if name != "kind"
        ]
        for kind in get_args(section.model_fields["kind"].annotation):
            about = (inspect.getdoc(_RULES.get(kind, section)) or "").partition("\nArgs:")[0].strip()
            rows.append({"kind": kind, "about": about, "parameters": parameters})
    return rows
