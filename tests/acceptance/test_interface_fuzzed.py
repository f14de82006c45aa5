"""A real daemon whose interface is asked what nobody would: it keeps to its description, and trades on."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth

from ops.api.roles import Role
from tests.support.data import ROOT
from tests.support.journals import recorded
from tests.support.serving import Serving, serving

BRISK = 1_800
_SLOW_SECS = 5.0
_STREAMS = ("/v1/stream", "/v1/runs/{run_id}/stream")


def _fuzz(served: Serving, role: Role) -> Counter[int]:
    """Ask every route twice what its description allows; how often each status was answered."""
    schema = schemathesis.openapi.from_dict(json.loads((ROOT / "docs" / "openapi.json").read_text()))
    head = {"Authorization": f"Bearer {served.tokens[role]}"}
    answered: Counter[int] = Counter()

    def ask(operation: Any) -> None:
        @settings(
            max_examples=2,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case[Any]) -> None:
            started = time.monotonic()
            # Tokens that are not valid are slowed down before they are refused: see test_access.
            answer = case.call_and_validate(
                base_url=served.url, headers=head, timeout=30.0, excluded_checks=[ignored_auth]
            )
            assert time.monotonic() - started < _SLOW_SECS, case.as_curl_command()
            answered[answer.status_code] += 1

        holds()

    operations: list[Any] = list(schema.exclude(path=list(_STREAMS)).get_all_operations())
    for found in operations:
        ask(found.ok())
    return answered


def _trade_again(served: Serving) -> None:
    """Lift what the questions restricted, and arm what they disarmed."""
    with httpx.Client(
        base_url=served.url, headers={"authorization": f"Bearer {served.tokens[Role.ADMIN]}"}, timeout=30.0
    ) as admin:
        for scope in [one["scope"] for one in admin.get("/v1/status").json()["restrictions"]]:
            assert admin.post("/v1/resume", json={"scope": scope, "reason": "a test"}).status_code == 200
        nonce = admin.post("/v1/arm", json={"reason": "a test"}).json()["nonce"]
        admin.post("/v1/arm/confirm", json={"reason": "a test", "nonce": nonce})


def test_daemon_keeps_to_its_description_whoever_asks_what_and_trades_on(
    long_market: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, long_market, speed=BRISK, until=("wanderer: BUY",)) as served:
        seen = _fuzz(served, Role.VIEWER)
        assert seen[200] > 20
        assert seen[403] > 10
        allowed = _fuzz(served, Role.OPERATOR)
        assert allowed[403] < seen[403]
        assert 500 not in seen | allowed

        _trade_again(served)
        before = len(recorded(served.daemon.state_dir, "fill"))
        served.daemon.until(lambda: len(recorded(served.daemon.state_dir, "fill")) > before)
        told = {one["command"] for one in recorded(served.daemon.state_dir, "command")}
        assert told >= {"kill", "flatten", "pause", "disarm", "resume", "arm"}
