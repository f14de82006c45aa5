"""The table of series, and the text of a scrape."""

import re

import pytest

from ops.metrics import FAMILIES, Exposition, Kind, Sample, as_markdown
from tests.support.data import ROOT

UNITS = ("_seconds", "_bytes", "_ratio", "_quote", "_base", "_nats")
COUNTS_AND_STATES = {
    "bundle_info", "build_info", "daemon_state", "ready", "trading_state", "restrictions", "latch_durable",
    "flattening", "reconciled", "reconcile_differences", "feed_state", "regime_active", "open_orders",
    "unknown_orders", "limit_latched", "journal_sequence", "journal_durable_sequence", "journal_fault",
    "job_running", "job_failed", "drift_active_alarms", "clock_synchronised",
}  # fmt: skip


def test_every_series_has_a_name_of_its_own_a_unit_and_a_meaning() -> None:
    names = [one.name for one in FAMILIES]

    assert len(set(names)) == len(names) >= 60
    for one in FAMILIES:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", one.name)
        assert one.meaning
        assert not one.name.endswith("_total"), "the exposition adds it"
        assert bool(one.buckets) is (one.kind is Kind.HISTOGRAM)
        if one.kind is not Kind.COUNTER and one.name not in COUNTS_AND_STATES:
            assert one.name.endswith(UNITS), one.name


def test_series_have_labels_of_closed_sets_only() -> None:
    allowed = {
        "strategy", "instrument", "regime", "stage", "status", "role", "side", "liquidity", "reason",
        "outcome", "state", "channel", "result",
        "origin", "scope", "limit", "cause", "command", "kind", "surface", "code",
        "name",
    }  # fmt: skip
    for one in FAMILIES:
        if not one.name.endswith("_info"):
            assert set(one.labels) <= allowed, one.name


def test_documentation_lists_every_series() -> None:
    text = (ROOT / "docs" / "METRICS.md").read_text()

    assert as_markdown() in text, "write the table anew: it is ops.metrics.as_markdown()"


def test_scrape_holds_what_was_read_at_that_moment() -> None:
    exposition, equity = Exposition(), [100.0]
    exposition.read_from(
        lambda: [Sample("equity_quote", equity[0], ("one",)), Sample("decisions", 3, ("one",))]
    )
    exposition.text()
    equity[0] = 250.0

    body, content_type = exposition.text()

    lines = body.decode().splitlines()
    assert content_type.startswith("text/plain")
    assert 'argonaut_equity_quote{strategy="one"} 250.0' in lines
    assert 'argonaut_decisions_total{strategy="one"} 3.0' in lines
    assert "# TYPE argonaut_decisions_total counter" in lines
    (cost,) = (line for line in lines if line.startswith("argonaut_scrape_seconds "))
    assert float(cost.split()[1]) > 0.0


def test_scraper_that_asks_for_open_metrics_gets_it() -> None:
    body, content_type = Exposition().text("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("sample", "error"),
    [
        (Sample("equity", 1.0), KeyError),
        (Sample("orders", 1.0, ("one", "FILLED")), KeyError),  # counted as it happens, never read
        (Sample("equity_quote", 1.0), ValueError),
    ],
)
def test_sample_that_is_not_in_the_table_is_refused(sample: Sample, error: type[Exception]) -> None:
    exposition = Exposition()
    exposition.read_from(lambda: [sample])

    with pytest.raises(error):
        exposition.text()
