"""Every alert rule, once where it must fire and once where it must not, by Prometheus's own promtool."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.metrics.dashboard import dashboard
from tests.support.data import ROOT

RULES = ROOT / "ops" / "prometheus" / "rules.yaml"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")

S, J = '{strategy="one"}', '{job="argonaut"}'
MINUTES = 24
"""Samples, a minute apart."""


class Case(NamedTuple):
    """Series with which an alert fires, and the same with which it does not; in promtool's words."""

    alert: str
    fires: dict[str, str]
    quiet: dict[str, str]


def constant(value: float) -> str:
    return f"{value}x{MINUTES}"


def rising(step: float) -> str:
    return f"0{step:+}x{MINUTES}"


def one(alert: str, series: str, fires: str, quiet: str) -> Case:
    return Case(alert, {series: fires}, {series: quiet})


def slow(family: str, bounds: tuple[str, str], *, late: int, **labels: str) -> dict[str, str]:
    """A histogram of which this many in a hundred lie between the bounds, and all others below."""
    series = {}
    for bound, share in zip((*bounds, "+Inf"), (100 - late, 100, 100), strict=True):
        text = ",".join(f'{key}="{value}"' for key, value in (labels | {"le": bound}).items())
        series[f"{family}_bucket{{{text}}}"] = rising(share)
    return series


REJECTED, DENIED, SENT = (
    f'argonaut_orders_total{{strategy="one",status="{status}"}}'
    for status in ("REJECTED", "DENIED", "SUBMITTED")
)
TAKEN, ON_DISK = ("argonaut_journal_sequence", "argonaut_journal_durable_sequence")
OVERDUE, PACE = "argonaut_feed_overdue_seconds", "argonaut_feed_interval_seconds"
SLIPPAGE, TRADED = f"argonaut_slippage_quote{S}", f"argonaut_filled_quote_total{S}"
PAID, MODELLED = (
    f"argonaut_execution_cost_quote{S}",
    'argonaut_modelled_cost_quote{strategy="one",cause="fee"}',
)
IMPACT = 'argonaut_modelled_cost_quote{strategy="one",cause="impact"}'
LAG, DECISION = "argonaut_loop_lag_seconds", "argonaut_decision_seconds"
ANSWER = "argonaut_order_answer_seconds"
FAILING, ANSWERING = (f'argonaut_api_requests_total{{surface="port",code="{code}"}}' for code in (503, 200))
TRIPPED = "argonaut_guardian_trips_total"
FAILED = 'argonaut_alerts_total{channel="tgram-1",result="failed"}'
LIMIT = 'argonaut_limit_used_ratio{scope="one",limit="daily_loss"}'
VETOED = 'argonaut_verdicts_total{strategy="one",reason="name_cap",outcome="vetoed"}'

# Certain, then with no idea.
UNSETTLED = {f"argonaut_regime_entropy_nats{S}": f"0x{MINUTES - 15} 0.69x15"}

CASES = [
    Case("ArgonautDown", {f"up{J}": constant(0)}, {f"up{J}": constant(1)}),
    one("ArgonautNotReady", "argonaut_ready", constant(0), constant(1)),
    one("ArgonautCrashLoop", f"process_start_time_seconds{J}", rising(60), constant(7)),
    one("ArgonautHalted", f"argonaut_trading_state{S}", constant(2), constant(1)),
    one("ArgonautReducing", f"argonaut_trading_state{S}", constant(1), constant(0)),
    one("ArgonautLatchNotDurable", "argonaut_latch_durable", constant(0), constant(1)),
    one("ArgonautNotReconciled", "argonaut_reconciled", constant(0), constant(1)),
    one("ArgonautGuardianTripped", TRIPPED + '{cause="order_rate"}', rising(1), constant(4)),
    one("ArgonautClockStepped", TRIPPED + '{cause="clock"}', rising(1), constant(4)),
    one("ArgonautLossNearLimit", LIMIT, constant(0.85), constant(0.75)),
    one("ArgonautLossLimitReached", LIMIT, constant(1.0), constant(0.85)),
    one("ArgonautDrawdown", f"argonaut_drawdown_ratio{S}", constant(0.06), constant(0.04)),
    one("ArgonautDrawdown", f"argonaut_drawdown_ratio{S}", constant(0.15), constant(0.16)),
    one("ArgonautDrawdownDeep", f"argonaut_drawdown_ratio{S}", constant(0.16), constant(0.15)),
    one("ArgonautEquityGone", f"argonaut_equity_quote{S}", constant(0), constant(1)),
    Case(
        "ArgonautFeedSilent",
        {OVERDUE: constant(200), PACE: constant(60)},
        {OVERDUE: constant(170), PACE: constant(60)},
    ),
    one("ArgonautFeedDead", 'argonaut_feed_state{state="DEAD"}', constant(1), constant(0)),
    one("ArgonautFeedRestarts", "argonaut_feed_restarts_total", rising(1), constant(9)),
    one("ArgonautBarsSkipped", f"argonaut_skipped_panels_total{S}", rising(1), constant(9)),
    Case("ArgonautRejects", {REJECTED: rising(3), SENT: rising(10)}, {REJECTED: rising(1), SENT: rising(10)}),
    one("ArgonautOrderUnknown", f"argonaut_unknown_orders{S}", constant(1), constant(0)),
    # The engine's own risk check refuses before anything is sent.
    Case("ArgonautRejects", {DENIED: rising(3)}, {DENIED: constant(3)}),
    one("ArgonautVetoes", VETOED, rising(5), rising(3)),
    one("ArgonautGuardrailStorm", VETOED, rising(60 * 31), rising(60 * 29)),
    Case(
        "ArgonautSlippage",
        {SLIPPAGE: rising(3), TRADED: rising(1_000)},
        {SLIPPAGE: rising(-3), TRADED: rising(1_000)},
    ),
    Case(
        "ArgonautCostsBeyondModel",
        {PAID: rising(5), MODELLED: rising(2), IMPACT: rising(1), TRADED: rising(1_000)},
        {PAID: rising(5), MODELLED: rising(2), IMPACT: rising(2.5), TRADED: rising(1_000)},
    ),
    Case("ArgonautLoopLag", slow(LAG, ("0.1", "0.25"), late=10), slow(LAG, ("0.1", "0.25"), late=0)),
    Case(
        "ArgonautDecisionSlow",
        slow(DECISION, ("0.01", "0.1"), late=10, strategy="one"),
        slow(DECISION, ("0.01", "0.1"), late=0, strategy="one"),
    ),
    Case(
        "ArgonautAnswersSlow",
        slow(ANSWER, ("0.5", "1.0"), late=20, strategy="one"),
        slow(ANSWER, ("0.5", "1.0"), late=4, strategy="one"),
    ),
    Case(
        "ArgonautAnswersVerySlow",
        slow(ANSWER, ("2.0", "5.0"), late=20, strategy="one"),
        slow(ANSWER, ("2.0", "5.0"), late=4, strategy="one"),
    ),
    # ln 2 = 0.693 nats is one bit: two states, and no idea which.
    one("ArgonautRegimeUncertain", f"argonaut_regime_entropy_nats{S}", constant(0.69), constant(0.55)),
    Case("ArgonautRegimeUnsettled", UNSETTLED, {f"argonaut_regime_entropy_nats{S}": constant(0.6)}),
    one("ArgonautDrift", f"argonaut_drift_active_alarms{S}", constant(1), constant(0)),
    one("ArgonautPolicyLate", f"argonaut_policy_deadline_misses_total{S}", rising(1), constant(9)),
    one("ArgonautJournalFault", "argonaut_journal_fault", constant(1), constant(0)),
    Case(
        "ArgonautJournalBehind",
        {TAKEN: rising(600), ON_DISK: constant(0)},
        {TAKEN: rising(600), ON_DISK: rising(590)},
    ),
    one("ArgonautJournalNotSigned", "argonaut_journal_checkpoint_timestamp_seconds", constant(0), rising(60)),
    one("ArgonautAnchorFailing", "argonaut_journal_anchor_faults_total", rising(1), constant(9)),
    one("ArgonautApiErrors", FAILING, rising(1), constant(9)),
    Case("ArgonautApiErrors", {FAILING: rising(1)}, {FAILING: constant(0), ANSWERING: rising(60)}),
    one("ArgonautAlertsNotDelivered", FAILED, rising(1), constant(9)),
    one("ArgonautAlertsNotDelivered", "argonaut_alerts_dropped_total", rising(1), constant(9)),
    one("ArgonautIntentsExpired", "argonaut_expired_intents_total", rising(1), constant(9)),
    one("ArgonautIntentsExpired", "argonaut_late_records_total", rising(1), constant(9)),
    one("ArgonautJobFailed", 'argonaut_job_failed{name="backup"}', constant(1), constant(0)),
    one("ArgonautJobLate", 'argonaut_job_due_timestamp_seconds{name="backup"}', constant(-7200), rising(60)),
    one("ArgonautDiskLow", "argonaut_disk_free_bytes", constant(9e8), constant(2e9)),
]  # fmt: skip

ALWAYS = "ArgonautAlertsWork"


def _check(folder: Path, document: dict[str, object]) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    path = folder / "cases.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    command = [PROMTOOL, "test", "rules", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _test(alert: str, series: dict[str, str], *, fires: bool) -> dict[str, object]:
    # How an alert is labelled differs from rule to rule; that it fires, and how often, does not.
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    found = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": found}],
    }


@needs_promtool
@pytest.mark.parametrize("fires", [True, False], ids=["firing", "quiet"])
def test_alert_fires_when_it_must_and_not_otherwise(fires: bool, tmp_path: Path) -> None:
    nobody_scrapes = {"something_else": constant(1)}
    tests = [_test(case.alert, case.fires if fires else case.quiet, fires=fires) for case in CASES]
    tests += [_test(alert, nobody_scrapes, fires=True) for alert in ("ArgonautDown", ALWAYS)]

    found = _check(tmp_path, {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests})

    assert found.returncode == 0, found.stdout + found.stderr


def test_every_rule_is_tried_says_what_to_do_and_is_of_a_known_severity() -> None:
    text = RULES.read_text()
    alerts = re.findall(r"- alert: (\w+)", text)

    assert {case.alert for case in CASES} | {ALWAYS} == set(alerts)
    assert len(alerts) == len(set(alerts)) >= 30
    assert text.count("summary:") == text.count("action:") == len(alerts)
    assert set(re.findall(r"severity: (\w+)", text)) == {"page", "ticket", "none"}


def test_dashboard_file_is_what_the_code_makes() -> None:
    stored = json.loads((ROOT / "ops" / "grafana" / "dashboards" / "argonaut.json").read_text())

    assert stored == dashboard(), (
        "run: python -m ops.metrics.dashboard > ops/grafana/dashboards/argonaut.json"
    )


def test_dashboard_panels_lie_beside_each_other_and_not_on_top() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
