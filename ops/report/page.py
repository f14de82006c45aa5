"""Puts the page together: template, style, data, scripts, and the policy that lets only these run."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from ops.report import behaviour, scorecard, sections
from ops.report.charts import chart_data
from ops.report.contents import RunContents
from ops.report.markup import Markup, element, escaped, joined
from ops.report.wording import instant

HERE = Path(__file__).parent
SCRIPTS = ("vendor/uplot.min.js", "charts.js", "trades.js", "bands.js", "market.js", "page.js")
STYLES = ("vendor/uplot.min.css", "page.css")


def render_report(run: RunContents) -> str:
    """The whole page."""
    metrics = run.evaluation.as_json()
    scripts = [(HERE / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        policy=_policy(scripts),
        styles="\n".join((HERE / name).read_text(encoding="utf-8") for name in STYLES),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        data=_script_data(chart_data(run)),
        title=escaped(run.title),
        subtitle=_subtitle(run, metrics),
        halts=sections.halts(run),
        tiles=scorecard.tiles(metrics, run.currency),
        figures=scorecard.figures(metrics),
        method=scorecard.method_note(metrics),
        versus=scorecard.versus(metrics),
        months=scorecard.months(run),
        costs=sections.costs(run, metrics),
        regimes=sections.regimes(metrics),
        timelines=behaviour.regime_timelines(run.tape.decisions),
        actions=behaviour.action_histograms(run.tape.decisions, run.instruments),
        guardrails=sections.guardrails(run.tape.verdicts),
        orders=sections.orders(run.tape.orders),
        data_quality=sections.data_quality(run.data_quality),
        pins=sections.definitions(sorted(run.pins.items())),
        config=escaped(run.config_text),
    )


def _subtitle(run: RunContents, metrics: Mapping[str, Any]) -> Markup:
    facts = [
        f"{instant(metrics['start_ts'])} to {instant(metrics['end_ts'])} UTC",
        f"{metrics['bar_count']:,} bars",
        f"{len(run.instruments)} strateg{'y' if len(run.instruments) == 1 else 'ies'} on {len(run.bars)} "
        f"instrument{'' if len(run.bars) == 1 else 's'}",
        f"{metrics['initial_equity_quote']:,.2f} {run.currency} at the start, "
        f"{metrics['final_equity_quote']:,.2f} at the end",
    ]
    return joined([*(element("span", fact) for fact in facts), element("code", run.run_id)])


def _script_data(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the script element it lies in."""
    written = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def _policy(scripts: list[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"
