"""Policies: what to hold, given everything that is known.

Flow: observation → **policies** → allocation → sizing → guardrails → orders.

A policy answers an `Observation` with an `Action`; `make_policy` builds the one that a strategy file names.
"""

from strategies.policies.factory import make_policy
from strategies.policies.protocol import Action, Policy

__all__ = ["Action", "Policy", "make_policy"]
