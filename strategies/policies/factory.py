"""From a strategy file's policy section to the policy; the one place where policies are listed."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from strategies.bundle import Bundle
from strategies.config import (
    ActionMap,
    BaselinePolicyConfig,
    BundlePolicyConfig,
    DonchianPolicyConfig,
    OnnxPolicyConfig,
    PolicyConfig,
)
from strategies.errors import ConfigError
from strategies.policies.baselines import BuyAndHoldPolicy, FixedWeightsPolicy, RandomPolicy
from strategies.policies.donchian import DonchianPolicy, required_columns
from strategies.policies.protocol import Policy


def make_policy(
    config: PolicyConfig,
    *,
    columns: tuple[str, ...],
    num_instruments: int,
    num_states: int,
    num_beliefs: int,
    schema_sha256: str,
    base_dir: Path,
    action_map: ActionMap,
    bundle: Bundle | None = None,
    monotonic: Callable[[], float] | None = None,
) -> Policy:
    """Build the policy that a strategy file asks for.

    Args:
        config: The section ``policy``.
        columns: Names of the features, in the order of the observation.
        num_instruments: N.
        num_states: States of the belief that the observation carries; 0 where it carries none.
        num_beliefs: Figures of it that a network is shown.
        schema_sha256: Hash of the feature manifest.
        base_dir: Directory of the strategy file; paths in it are relative to it.
        action_map: The strategy's ``allocation.action_map``.
        bundle: What the policy's kind ``bundle`` names.
        monotonic: Clock in seconds for deadlines; None sets none, so that decisions do not depend on
            the machine.

    Raises:
        ConfigError: If the policy does not fit the strategy's features, regime or action map.
    """
    if isinstance(config, BundlePolicyConfig | OnnxPolicyConfig):
        if isinstance(config, OnnxPolicyConfig):
            path, policy_id = base_dir / config.path, None
        elif bundle is not None:
            path, policy_id = bundle.policy_path, bundle.bundle_id
        else:
            raise ConfigError(f"policy {config.path!r}: expected the opened bundle, found none")
        # Imported here so that a bot without a trained policy never loads onnxruntime.
        from strategies.policies.onnx import OnnxPolicy

        return OnnxPolicy(
            path,
            policy_id=policy_id,
            num_instruments=num_instruments,
            num_features=len(columns),
            num_beliefs=num_beliefs,
            schema_sha256=schema_sha256,
            action_map=action_map,
            deadline_ms=config.deadline_ms,
            monotonic=monotonic,
        )
    if action_map is not ActionMap.WEIGHTS:
        raise ConfigError(
            f"allocation.action_map = {action_map.value!r}: expected {ActionMap.WEIGHTS.value!r}, "
            f"because the policy {config.kind!r} asks for weights"
        )
    if isinstance(config, DonchianPolicyConfig):
        _check_donchian(config, columns, num_states)
        return DonchianPolicy(config, _rule_id(config, num_instruments), columns, num_instruments)
    return _baseline(config, num_instruments)


def _baseline(config: BaselinePolicyConfig, num_instruments: int) -> Policy:
    policy_id = _rule_id(config, num_instruments)
    match config.kind:
        case "flat":
            return FixedWeightsPolicy("flat", policy_id, (0.0,) * num_instruments)
        case "equal":
            return FixedWeightsPolicy("equal", policy_id, (1.0 / num_instruments,) * num_instruments)
        case "first_long":
            return FixedWeightsPolicy("first_long", policy_id, (1.0, *(0.0,) * (num_instruments - 1)))
        case "buy_and_hold":
            return BuyAndHoldPolicy(policy_id, num_instruments)
        case "random":
            return RandomPolicy(policy_id, num_instruments, config.seed, config.rebalance_bars)


def _check_donchian(config: DonchianPolicyConfig, columns: tuple[str, ...], num_states: int) -> None:
    missing = [name for name in required_columns(config) if name not in columns]
    if missing:
        raise ConfigError(
            f"policy donchian: expected the feature columns {missing}, found {list(columns)}; "
            "add the features to the manifest, or change lookback and atr_period"
        )
    if not num_states and (config.max_entropy_bits is not None or config.blocked_states):
        raise ConfigError(
            "policy donchian: max_entropy_bits and blocked_states need a regime belief, but the observation "
            "carries none; add a regime section with append_beliefs = true, or leave them out"
        )
    unknown = [state for state in config.blocked_states if not 0 <= state < num_states]
    if unknown:
        raise ConfigError(f"policy donchian: blocked_states: expected 0 to {num_states - 1}, found {unknown}")


def _rule_id(config: DonchianPolicyConfig | BaselinePolicyConfig, num_instruments: int) -> str:
    rule = {"num_instruments": num_instruments, "policy": config.model_dump(mode="json")}
    return sha256(json.dumps(rule, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
