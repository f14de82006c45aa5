import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.report import BarSeries, RunContents, charts, render_report
from ops.report.charts import chart_data
from ops.report.markup import Markup, element, escaped, table
from ops.report.page import HERE, SCRIPTS
from ops.report.sampling import (
    candle_seconds,
    dominant_runs,
    extreme_indices,
    join_candles,
    month_returns,
)
from ops.report.sections import costs, data_quality, guardrails, halts
from ops.report.wording import duration, number, percent, signed_number, statistic
from strategies.tape import HaltRecord, MemoryTape, VerdictRecord
from tests.support.runs import INSTRUMENTS, MINUTE_NS, example_bars, example_run

SECOND = 1_000_000_000
EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&\u2028"


class Page(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def run() -> RunContents:
    return example_run(1200)


@pytest.fixture(scope="module")
def page(run: RunContents) -> str:
    return render_report(run)


def evil_run() -> RunContents:
    run = example_run(400, lookbacks={EVIL: 20})
    tape = MemoryTape()
    tape.decisions[:], tape.equity[:], tape.fills[:] = run.tape.decisions, run.tape.equity, run.tape.fills
    for verdict in run.tape.verdicts:
        tape.write(verdict._replace(reason=EVIL))
    for order in run.tape.orders:
        tape.write(order._replace(reason=EVIL, status=EVIL, role=EVIL))
    tape.write(run.tape.halts[0]._replace(reason=EVIL, detail=EVIL))
    return replace(
        run,
        tape=tape,
        title=EVIL,
        currency=EVIL,
        config_text=EVIL,
        pins={EVIL: EVIL},
        data_quality={"issues": [{EVIL: EVIL}], EVIL: EVIL},
        costs_quote={EVIL: 1.0},
    )


# ---- the page


def test_equal_runs_give_equal_pages(page: str) -> None:
    assert render_report(example_run(1200)) == page


def test_page_loads_nothing_from_outside(page: str) -> None:
    found = Page(page)

    assert found.attributes("src") == []
    assert {tag for tag, _ in found.elements} & {"link", "iframe", "img", "object", "embed", "base"} == set()
    assert all(href is not None and href.startswith("#") for href in found.attributes("href"))
    assert "@import" not in page
    assert "url(" not in page


def test_policy_permits_exactly_the_scripts_of_the_page(page: str) -> None:
    found = Page(page)
    policy = next(a["content"] for tag, a in found.elements if tag == "meta" and "http-equiv" in a)
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in found.scripts[1:]
    ]

    assert len(digests) == len(SCRIPTS)
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; script-src "
        + " ".join(f"'sha256-{digest}'" for digest in digests)
    )


def test_hostile_text_changes_nothing_but_text() -> None:
    found = Page(render_report(evil_run()))

    assert len(found.scripts) == 1 + len(SCRIPTS)
    assert not [tag for tag, _ in found.elements if tag == "img"]
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert json.loads(found.scripts[0])["currency"] == EVIL


def test_page_carries_its_licence_notice(page: str) -> None:
    assert "uPlot" in page
    assert "MIT" in (HERE / "vendor" / "LICENSE.uplot").read_text()


@pytest.mark.parametrize("section", ["equity", "figures", "market", "returns", "costs", "regimes", "trades"])
def test_navigation_leads_to_every_section(page: str, section: str) -> None:
    found = Page(page)

    assert section in found.attributes("id")
    assert f"#{section}" in found.attributes("href")


def test_every_scrolling_frame_is_reached_by_keyboard_and_named(page: str) -> None:
    frames = [a for _, a in Page(page).elements if a.get("class") == "scroll"]

    assert frames
    assert all(frame["tabindex"] == "0" and frame["aria-label"] for frame in frames)


def test_page_of_a_run_that_did_nothing_is_rendered(run: RunContents) -> None:
    short = example_run(3)
    empty = replace(short, tape=MemoryTape(), bars={}, data_quality={}, costs_quote={})

    assert "No trade was proposed." in render_report(empty)


def test_page_of_a_long_run_stays_small() -> None:
    run = example_run(30_000, interval_ns=MINUTE_NS, lookbacks={"quick": 4, "slow": 30})

    assert len(run.evaluation.matched.trades) > 1000
    assert len(render_report(run).encode()) < 3_000_000


def test_scripts_are_valid() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the syntax of the page's scripts cannot be checked")
    for name in SCRIPTS:
        subprocess.run([node, "--check", str(HERE / name)], check=True, timeout=60)


# ---- the data behind the charts


def test_chart_data_is_bounded_however_long_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "MAX_EQUITY_POINTS", 90)
    monkeypatch.setattr(charts, "MAX_FILLS", 3)
    monkeypatch.setattr(charts, "MAX_TRADES", 5)
    monkeypatch.setattr(charts, "MAX_CANDLES_IN_ALL", 100)
    monkeypatch.setattr(charts, "MIN_CANDLES", 50)
    run = example_run(2000, lookbacks={"quick": 4})
    data = chart_data(run)
    book: dict[str, Any] = data["books"][0]["instruments"][INSTRUMENTS[0]]
    fills = [fill for fill in run.tape.fills if fill.instrument_id == INSTRUMENTS[0]]

    assert len(data["equity"]["t"]) <= 90
    assert all(len(market["t"]) <= 52 for market in data["markets"])
    assert len(book["fills"]) <= 2 * 52 < len(fills)
    assert len(data["trades"]["rows"]) == 5
    assert data["trades"]["total"] == len(run.evaluation.matched.trades)
    assert sum(shown[4] for shown in book["fills"]) == len(fills)
    bought = sum(shown[2] for shown in book["fills"] if shown[1] == 1)
    assert bought == pytest.approx(sum(fill.quantity for fill in fills if fill.side == "BUY"), rel=1e-5)


def test_trades_that_are_left_out_are_the_smallest(run: RunContents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "MAX_TRADES", 5)
    shown = sorted(abs(row[10]) for row in chart_data(run)["trades"]["rows"])
    every = sorted(abs(trade.net_pnl) for trade in run.evaluation.matched.trades)

    assert shown == pytest.approx(every[-5:], rel=1e-5)


@given(count=st.integers(1, 400), seed=st.integers(0, 1000), max_points=st.integers(8, 100))
@settings(max_examples=80, deadline=None)
def test_fewer_points_keep_first_last_lowest_and_highest(count: int, seed: int, max_points: int) -> None:
    line = np.random.default_rng(seed).normal(size=count)
    chosen = extreme_indices([line], max_points)

    assert len(chosen) <= max_points or len(chosen) == len(line)
    assert np.all(np.diff(chosen) > 0)
    assert chosen[0] == 0
    assert chosen[-1] == len(line) - 1
    assert line[chosen].min() == line.min()
    assert line[chosen].max() == line.max()


def test_deepest_drawdown_survives_downsampling(run: RunContents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "MAX_EQUITY_POINTS", 60)
    account = chart_data(run)["equity"]["lines"][0]

    assert max(account["drawdown"]) == pytest.approx(run.evaluation.account_curve.drawdowns.max(), abs=1e-5)


def test_candles_equal_those_that_pandas_resamples() -> None:
    bars = example_bars(1000, 4, MINUTE_NS)[0][INSTRUMENTS[0]]
    found = join_candles(bars, 900)
    frame = pd.DataFrame({name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")})
    frame.index = pd.to_datetime(bars.ts_event)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = frame.resample("15min", closed="right", label="left").agg(how)

    assert found.start.tolist() == [stamp.value // SECOND for stamp in expected.index]
    for name in how:
        assert getattr(found, name) == pytest.approx(expected[name].to_numpy())


def test_candles_leave_gaps_out() -> None:
    one = np.array([1.0, 2.0])
    bars = BarSeries(np.array([60, 600]) * SECOND, one, one, one, one, one)

    assert join_candles(bars, 60).start.tolist() == [0, 540]


@pytest.mark.parametrize(("span", "length"), [(3000 * 60, 60), (3001 * 60, 120), (547 * 86_400, 21_600)])
def test_candle_is_the_shortest_that_fits(span: int, length: int) -> None:
    assert candle_seconds(span, 60, 3000) == length


def test_regime_bands_join_neighbours_of_one_state_and_stop_at_gaps() -> None:
    ts = np.array([1, 2, 3, 4, 5, 6, 7, 8, 41, 42]) * 60 * SECOND
    states = np.array([0, 0, 1, 0, 2, 2, 2, 1, 2, 2])

    # candles of four minutes: mostly 0, mostly 2, then nothing until minute 40
    assert dominant_runs(ts, states, 240) == [(0, 240, 0), (240, 480, 2), (2400, 2640, 2)]


def test_regime_bands_of_a_slow_strategy_have_no_holes() -> None:
    run = example_run(200)
    sparse = MemoryTape()
    sparse.decisions[:] = [d for d in run.tape.decisions if d.ts_event % (60 * MINUTE_NS) == 0]
    bands = chart_data(replace(run, tape=sparse))["books"][0]["regimes"]

    assert all(before[1] == after[0] for before, after in pairwise(bands))


def test_monthly_returns_compound_to_the_whole() -> None:
    stamps = pd.to_datetime(["2023-01-15", "2023-02-01", "2023-02-28", "2023-03-02"]).as_unit("ns")
    equity = np.array([105.0, 110.0, 99.0, 108.9])
    found = month_returns(stamps.asi8, equity, 100.0)

    # the mark at the first midnight of February belongs to January
    assert list(found) == [(2023, 1), (2023, 2), (2023, 3)]
    assert list(found.values()) == pytest.approx([0.10, -0.10, 0.10])


# ---- words and markup


def test_text_is_escaped_and_markup_is_not() -> None:
    assert escaped('<b a="1">&') == "&lt;b a=&quot;1&quot;&gt;&amp;"
    assert escaped(Markup("<b>")) == "<b>"
    assert element("p", "<", class_='"') == '<p class="&quot;">&lt;</p>'
    assert '<th scope="row">&lt;i&gt;</th>' in table(["h"], [["<i>"]], caption="c")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(1234.567), "1,234.57"),
        (number(-0.001), "0.00"),
        (number(None), "–"),
        (signed_number(0.0), "0.00"),
        (signed_number(2.5, 1), "+2.5"),
        (signed_number(-2.5, 1), "−2.5"),
        (percent(0.1234), "12.34 %"),
        (duration(93_784), "1 d 2 h"),
        (duration(0), "0 s"),
        (duration(None), "–"),
    ],
)
def test_numbers_read_as_people_write_them(written: str, expected: str) -> None:
    assert written == expected


def test_statistic_shows_its_interval() -> None:
    shown = statistic({"value": 1.5, "ci_low": -0.5, "ci_high": 2.0}, signed_number)

    assert re.sub("<[^>]+>", " ", shown).split() == ["+1.50", "−0.50", "…", "+2.00"]


def test_restrictions_of_one_kind_are_told_in_one_line(run: RunContents) -> None:
    tape = MemoryTape()
    tape.halts[:] = [
        HaltRecord(day * 86_400 * SECOND, "alpha", "REDUCING", "daily_loss", "") for day in (0, 1, 2)
    ]
    shown = halts(replace(run, tape=tape))

    assert shown.count("<li>") == 1
    assert "3 times from 1970-01-01 00:00 to 1970-01-03 00:00 UTC" in shown


def test_exits_in_doubt_are_counted_in_words() -> None:
    doubt = data_quality({"exits_in_doubt": {"STOP": 1, "TARGET": 2}})

    assert "3 exits fell into a bar that reached both stop and target" in str(doubt)
    assert "reached both" not in str(data_quality({"exits_in_doubt": {"STOP": 0, "TARGET": 0}}))


def test_times_among_data_findings_are_written_as_times() -> None:
    shown = data_quality({"issues": [{"kind": "gap", "first_open_ns": 60 * SECOND}]})

    assert '<th scope="col">first open</th>' in shown
    assert "1970-01-01 00:01" in shown


def test_guardrail_table_tells_cut_from_vetoed() -> None:
    verdicts = [
        VerdictRecord(0, "a", "X", 1.0, approved, reason, 0.0, 0.0)
        for approved, reason in ((1.0, "ok"), (0.5, "notional_max"), (0.0, "notional_max"), (0.0, "spread"))
    ]
    rows = re.findall(r"<tr>(.*?)</tr>", guardrails(verdicts))
    cells = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row)[:5] for row in rows[1:]]

    assert cells == [
        ["notional_max", "2", "50.0 %", "1", "1"],
        ["ok", "1", "25.0 %", "0", "0"],
        ["spread", "1", "25.0 %", "0", "1"],
    ]


def test_costs_lead_from_gross_to_net_and_name_what_is_unexplained(run: RunContents) -> None:
    metrics = run.evaluation.as_json()
    total = metrics["costs"]["total_quote"]
    shown = costs(replace(run, costs_quote={"commission": 0.75 * total}), metrics)

    assert signed_number(metrics["pnl_quote"] + total) in shown
    assert signed_number(-0.75 * total) in shown
    assert ">Other<" in shown
    assert signed_number(-0.25 * total) in shown
