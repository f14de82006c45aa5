"""The Grafana dashboard, as code: ``python -m ops.metrics.dashboard > ops/grafana/dashboards/argonaut.json``.

From top to bottom: is it safe, money, orders, decisions, machine. Limits are drawn as lines, times are UTC.
"""

import json
import sys
from typing import Any, NamedTuple

_WIDTH = 24
_HEIGHT = 7
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """One chart or number."""

    title: str
    query: str
    legend: str = ""
    unit: str = "short"
    """In Grafana's words."""
    kind: str = "timeseries"
    """``timeseries`` or ``stat``."""
    width: int = 8
    """Of 24."""
    limit: float | None = None
    """A line: beyond it an alert fires."""
    names: tuple[str, ...] = ()
    """Words for 0, 1, 2, of a state."""


def _p99(family: str, by: str) -> str:
    return f"histogram_quantile(0.99, sum by (le, {by}) (rate({family}_bucket[$__rate_interval])))"


def _rate(family: str, by: str) -> str:
    return f"sum by ({by}) (rate({family}[$__rate_interval]))"


ROWS: dict[str, tuple[Panel, ...]] = {
    "Is it safe": (
        Panel("Ready", "argonaut_ready", kind="stat", width=3, names=("NO", "yes")),
        Panel(
            "Trading state",
            "argonaut_trading_state",
            "{{strategy}}",
            kind="stat",
            width=6,
            names=("ACTIVE", "REDUCING", "HALTED"),
        ),
        Panel("Books agree", "argonaut_reconciled", kind="stat", width=3, names=("NO", "yes")),
        Panel("Feed late by", "argonaut_feed_overdue_seconds", unit="s", kind="stat", width=3),
        Panel("Unknown orders", "argonaut_unknown_orders", "{{strategy}}", kind="stat", width=3),
        Panel(
            "Records not on disk",
            "argonaut_journal_sequence - argonaut_journal_durable_sequence",
            kind="stat",
            width=3,
        ),
        Panel("Disk left", "argonaut_disk_free_bytes", unit="bytes", kind="stat", width=3),
    ),
    "Money": (
        Panel("Equity", "argonaut_equity_quote", "{{strategy}}"),
        Panel("Drawdown", "argonaut_drawdown_ratio", "{{strategy}}", "percentunit"),
        Panel("Limits used", "argonaut_limit_used_ratio", "{{scope}} {{limit}}", "percentunit", limit=1.0),
        Panel("Profit realised", "argonaut_realised_profit_quote", "{{strategy}}"),
        Panel("Profit not realised", "argonaut_unrealised_profit_quote", "{{strategy}}"),
        Panel("Costs so far", "argonaut_fees_paid_quote", "{{strategy}}"),
        Panel("Exposure, gross", "argonaut_gross_exposure_quote", "{{strategy}}"),
        Panel("Positions", "argonaut_position_quote", "{{strategy}} {{instrument}}"),
        Panel("Profit by regime", "argonaut_regime_profit_quote", "{{strategy}} regime {{regime}}"),
        Panel(
            "Profit realised, by regime",
            "argonaut_regime_realised_profit_quote",
            "{{strategy}} regime {{regime}}",
        ),
        Panel(
            "Profit not realised, by regime",
            "argonaut_regime_unrealised_profit_quote",
            "{{strategy}} regime {{regime}}",
        ),
        Panel("Costs as modelled", "argonaut_modelled_cost_quote", "{{strategy}} {{cause}}"),
    ),
    "Orders": (
        Panel("Orders by status", _rate("argonaut_orders_total", "status"), "{{status}}", "ops"),
        Panel(
            "Guardrails", _rate("argonaut_verdicts_total", "outcome, reason"), "{{outcome}} {{reason}}", "ops"
        ),
        Panel(
            "Executions", _rate("argonaut_fills_total", "instrument, side"), "{{instrument}} {{side}}", "ops"
        ),
        Panel(
            "Slippage, mean",
            "delta(argonaut_slippage_quote[$__rate_interval]) "
            "/ increase(argonaut_filled_quote_total[$__rate_interval])",
            "{{strategy}}",
            "percentunit",
            limit=0.002,
        ),
        Panel(
            "Costs beyond the model, mean",
            "(delta(argonaut_execution_cost_quote[$__rate_interval]) "
            "- sum without (cause) (delta(argonaut_modelled_cost_quote[$__rate_interval]))) "
            "/ increase(argonaut_filled_quote_total[$__rate_interval])",
            "{{strategy}}",
            "percentunit",
            limit=0.001,
        ),
        Panel("Venue's answer, p99", _p99("argonaut_order_answer_seconds", "strategy"), "{{strategy}}", "s"),
        Panel("Open orders", "argonaut_open_orders", "{{strategy}}"),
    ),
    "Decisions": (
        Panel("Price", "argonaut_last_price_quote", "{{instrument}}"),
        Panel(
            "Regimes", "argonaut_regime_probability_ratio", "{{strategy}} regime {{regime}}", "percentunit"
        ),
        Panel("Regime entropy", "argonaut_regime_entropy_nats", "{{strategy}}"),
        Panel(
            "Drift beside its threshold",
            "argonaut_drift_threshold_used_ratio",
            "{{strategy}}",
            "percentunit",
            limit=1.0,
        ),
        Panel("Decisions", _rate("argonaut_decisions_total", "strategy"), "{{strategy}}", "ops"),
        Panel("Stages, p99", _p99("argonaut_decision_stage_seconds", "stage"), "{{stage}}", "s"),
        Panel(
            "Whole decision, p99",
            _p99("argonaut_decision_seconds", "strategy"),
            "{{strategy}}",
            "s",
            limit=0.01,
        ),
    ),
    "Machine": (
        Panel("Loop lag, p99", _p99("argonaut_loop_lag_seconds", "job"), "", "s", limit=0.1),
        Panel("Records", _rate("argonaut_journal_records_total", "kind"), "{{kind}}", "ops"),
        Panel("Memory", "process_resident_memory_bytes", "{{job}}", "bytes"),
        Panel("Processor", "rate(process_cpu_seconds_total[$__rate_interval])", "{{job}}", "percentunit"),
        Panel(
            "HTTP answers",
            _rate("argonaut_api_requests_total", "surface, code"),
            "{{surface}} {{code}}",
            "ops",
        ),
        Panel("Jobs that failed", "argonaut_job_failed", "{{name}}"),
        Panel("Jobs under way", "argonaut_job_running", "{{name}}"),
        Panel("Cost of a scrape", "argonaut_scrape_seconds", "{{job}}", "s", limit=0.05),
    ),
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    at_y = 0
    for title, row in ROWS.items():
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": at_y, "w": _WIDTH, "h": 1}})
        at_x, at_y = 0, at_y + 1
        for panel in row:
            if at_x + panel.width > _WIDTH:
                at_x, at_y = 0, at_y + _HEIGHT
            place = {"x": at_x, "y": at_y, "w": panel.width, "h": _HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
            at_x += panel.width
        at_y += _HEIGHT
    return {
        "uid": "argonaut",
        "title": "Argonaut",
        "schemaVersion": 39,
        "version": 1,
        "timezone": "utc",
        "refresh": "5s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "annotations": {"list": [_restarts()]},
        "panels": panels,
    }


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        defaults["custom"] = {"thresholdsStyle": {"mode": "dashed"}}
    if panel.names:
        options = {str(value): {"text": name} for value, name in enumerate(panel.names)}
        defaults["mappings"] = [{"type": "value", "options": options}]
    return {
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [{"refId": "A", "datasource": _SOURCE, "expr": panel.query, "legendFormat": panel.legend}],
    }


def _restarts() -> dict[str, Any]:
    return {
        "name": "Restarts",
        "datasource": _SOURCE,
        "enable": True,
        "expr": "changes(process_start_time_seconds[1m]) > 0",
        "iconColor": "orange",
        "titleFormat": "started",
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
