"""A real daemon's dashboard in a real browser: what it shows is so, and what it is told is done."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bot.cli.app import main
from ops.api.roles import Role
from tests.support.browser import Watched, browsing, needs_chromium, unusable
from tests.support.command import DaemonProcess
from tests.support.journals import recorded
from tests.support.recorded import (
    CROWDED,
    DAMAGED,
    FIRST,
    MANY,
    PARTIAL,
    SECOND,
    write_recorded,
)
from tests.support.serving import Serving, serving

pytestmark = needs_chromium

PACE = 300
"""Five minute bars a second: something happens all the time, and a figure stays for a look."""
PLANTED = '<script>window.planted = 1</script><img src=x onerror="window.planted = 2">'
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def served(long_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Open to read, with what was recorded before, and with markup where a strategy says what it is."""
    place = tmp_path_factory.mktemp("dashboard")
    (place / "var").mkdir(mode=0o700)
    write_recorded(place / "var")
    with serving(
        place, long_market, speed=PACE, until=("wanderer: BUY",), open_to_read=True, description=PLANTED
    ) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(served: Serving) -> dict[Role, str]:
    return served.tokens


@pytest.fixture(scope="module")
def daemon(served: Serving) -> DaemonProcess:
    return served.daemon


@pytest.fixture(scope="module")
def url(served: Serving) -> str:
    return served.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def watched(browser: Browser, url: str) -> Iterator[Watched]:
    shown = Watched(browser, url)
    shown.page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield shown
    shown.context.close()


def confirm(page: Page, reason: str, word: str, token: str | None = None) -> None:
    page.fill("#reason", reason)
    if token is not None:
        page.fill("#token", token)
    page.fill("#word", word)
    page.click("dialog button[type=submit]")


def turn(page: Page, *path: str) -> None:
    """Go to a page of the dashboard."""
    page.evaluate("(hash) => { location.hash = hash; }", "#/" + "/".join(path))


def test_page_shows_what_runs_without_complaint_and_asks_nobody_but_the_daemon(watched: Watched) -> None:
    page = watched.page

    expect(page.locator("#verdict")).to_contain_text("Trading")
    expect(page.locator("#pulse")).to_contain_text("live")
    expect(page.locator("#kind")).to_have_text("PAPER")
    expect(page.locator("#strategies article")).to_have_count(2)
    expect(page.locator("#jobs tbody tr").first).to_be_visible()
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    expect(page.locator("#latest article")).to_be_visible()
    assert page.evaluate("document.querySelector('#account .plot').chart.data[1].length") > 0
    turn(page, "live")
    expect(page.locator("#positions tbody tr").first).to_be_visible()
    expect(page.locator("#activity tbody tr").first).to_be_visible()
    expect(page.locator("#market .readout")).to_contain_text(re.compile(r"O [\d,.]+ +H "))
    expect(page.locator("#log li").first).to_be_visible()
    turn(page, "risk")
    expect(page.locator("#limits .meter").first).to_be_visible()
    expect(page.locator("#page-risk")).to_contain_text("argonaut audit verify checks every record")
    turn(page, "overview")
    assert watched.complaints == []
    assert watched.elsewhere == []


PAGES = {
    "overview": "#strategies article",
    "live": "#log li time",
    "backtests": "#page-backtests article",
    "models": "#page-models article",
    "strategies": "#page-strategies article >> nth=3",
    "risk": "#limits .meter",
    "settings": "#page-settings td",
}
"""Each page, and what it shows once it has been answered."""


TOO_WIDE = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const isCut = (one) => getComputedStyle(one).overflowX !== "visible";
  const scrolls = (one) => one && (isCut(one) || scrolls(one.parentElement));
  return [...document.querySelectorAll("main *, header *, nav *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth && !scrolls(one.parentElement))
    .map((one) => one.outerHTML.slice(0, 200));
}"""


@pytest.mark.parametrize(
    ("width", "scheme", "rules"), [(390, "dark", ("color-contrast",)), (1440, "light", ())]
)
def test_every_page_fits_is_named_and_can_be_used_without_eyes_or_a_mouse(
    browser: Browser, url: str, width: int, scheme: str, rules: tuple[str, ...]
) -> None:
    size = {"width": width, "height": 844}
    shown = Watched(
        browser, url, viewport=size, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )
    page = shown.page

    for name, sign in [*PAGES.items(), (f"backtests/{FIRST}", ".trades tbody tr >> nth=2"),
                       (f"backtests/compare/{FIRST}/{SECOND}", "#page-backtests td")]:  # fmt: skip
        turn(page, name)
        expect(page.locator(sign).first).to_be_visible()
        assert page.evaluate(TOO_WIDE) == [], name
        assert page.locator("#pages [aria-current]").inner_text().lower() == name.partition("/")[0]
        assert page.title().endswith("Argonaut")
        assert unusable(page, *rules) == [], name

    assert shown.complaints == []
    shown.context.close()


def test_pages_are_reached_by_keyboard_kept_in_the_address_and_begin_at_their_heading(
    watched: Watched, url: str
) -> None:
    page = watched.page
    turn(page, "overview")

    page.locator("#pages a", has_text="Risk").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page-risk h2")).to_be_focused()
    assert page.url == f"{url}/#/risk"
    assert "Risk" in page.title()
    page.reload()
    expect(page.locator("#page-risk h2")).to_be_visible()
    expect(page.locator("#page-overview")).to_be_hidden()
    page.go_back()
    expect(page.locator("#page-overview")).to_be_visible()
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_page_that_is_not_shown_asks_nothing(watched: Watched) -> None:
    page = watched.page
    turn(page, "live")  # which asks most often
    expect(page.locator("#log li time").first).to_be_visible()
    turn(page, "settings")
    expect(page.locator("#page-settings td").first).to_be_visible()
    page.wait_for_timeout(1_000)  # for what was asked before
    before = len(watched.asked)

    page.wait_for_timeout(5_000)

    assert watched.asked[before:] == []
    turn(page, "overview")


def test_backtests_are_filtered_and_one_that_is_not_whole_says_so(watched: Watched) -> None:
    page = watched.page
    turn(page, "backtests")
    cards = page.locator("#page-backtests article")
    expect(cards).to_have_count(5)

    page.get_by_label("State").select_option("damaged")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("metrics.json")
    page.get_by_label("State").select_option("")
    page.get_by_label("Text", exact=True).fill("example-2")
    expect(cards).to_have_count(1)
    page.get_by_label("Text", exact=True).fill("nobody")
    expect(page.locator("#page-backtests .cards")).to_contain_text("No backtest is like that")
    page.get_by_label("Text", exact=True).fill("")
    for name, told in ((PARTIAL, "missing: equity.parquet"), (DAMAGED, "metrics.json")):
        turn(page, "backtests", name)
        expect(page.locator("#page-backtests [role=alert]")).to_contain_text(told)
        expect(page.locator(".trades tbody tr").nth(2)).to_be_visible()
    assert watched.complaints == []


def test_two_backtests_are_compared_figure_by_figure(watched: Watched, url: str) -> None:
    page = watched.page
    whole = [httpx.get(f"{url}/v1/results/{name}").json()["all_metrics"] for name in (FIRST, SECOND)]
    turn(page, "backtests")
    page.locator(f"[data-key='{FIRST}'] input").check()
    page.locator(f"[data-key='{SECOND}'] input").check()
    page.click("text=Compare the two")

    row = page.locator("tr", has=page.locator("th", has_text=re.compile("^Sharpe$")))
    expect(row).to_be_visible()

    first, second = (one["sharpe"]["value"] for one in whole)
    assert row.locator("td").nth(0).inner_text() == f"{first:+.2f}".replace("-", "\u2212")
    assert row.locator("td").nth(4).inner_text().strip("▲▼ ") == f"{second - first:+.2f}".replace(
        "-", "\u2212"
    )
    lines = page.evaluate("document.querySelector('#page-backtests .plot').chart.data.length")
    assert lines == 3, "times and one line for each"
    assert watched.complaints == []


def test_fifty_thousand_round_trips_are_all_there_and_are_sifted_with_only_those_in_sight_as_elements(
    watched: Watched,
) -> None:
    page = watched.page
    count = page.locator(".trades .readout")

    turn(page, "backtests", CROWDED)
    page.wait_for_selector(".trades tbody tr >> nth=5")
    expect(count).to_have_text(re.compile(f"^{MANY:,} of {MANY:,} round trips, net"))
    page.locator(".trades .choice button", has_text="Won").click()
    expect(count).to_contain_text(f"{-(-MANY // 3):,} of {MANY:,}")

    assert page.locator(".trades tbody tr").count() < 60, "only rows in sight are elements"
    page.evaluate("document.querySelector('.window').scrollTop = 1e9")
    expect(page.locator(f".trades tr[aria-rowindex='{-(-MANY // 3) + 1}']")).to_be_visible()
    with page.expect_download() as saved:
        page.click("text=Save as CSV")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert len(lines) == 1 + -(-MANY // 3)
    assert sum(float(line.split(",")[lines[0].split(",").index("net_pnl")]) for line in lines[1:]) == sum(
        number + 0.5 for number in range(0, MANY, 3)
    )


def test_model_that_is_active_is_shown_with_its_scorecard(watched: Watched) -> None:
    page = watched.page
    turn(page, "models")
    card = page.locator("#page-models article")
    expect(card).to_contain_text("active")
    expect(page.locator("#page-models svg a")).to_have_count(1)

    card.locator("a").click()

    expect(page.locator("#page-models")).to_contain_text("On bars it never saw")
    expect(page.locator("#page-models h2 >> visible=true")).to_be_focused()
    assert watched.complaints == []


def answering(body: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=body, content_type="application/json")


def test_page_without_anything_says_what_to_do(browser: Browser, url: str) -> None:
    shown = Watched(browser, "about:blank")
    page = shown.page
    nothing = {"/v1/results": '{"rows": [], "total": 0}', "/v1/models": "[]", "/v1/logs": '{"rows": []}'}
    for path, body in nothing.items():
        page.route(f"**{path}*", answering(body))
    page.goto(f"{url}/#/backtests")

    expect(page.locator("#page-backtests .cards")).to_contain_text("argonaut backtest ")
    turn(page, "models")
    expect(page.locator("#page-models .cards")).to_contain_text("argonaut train ")
    turn(page, "live")
    expect(page.locator("#log")).to_contain_text("says nothing of this level")
    turn(page, "backtests", "nothing")
    expect(page.locator("#page-backtests [role=alert]")).to_contain_text("There is no such backtest")
    shown.context.close()


def test_colours_that_were_chosen_stay(watched: Watched) -> None:
    page = watched.page
    turn(page, "settings")
    for name, colour in (("Light", "rgb(244, 246, 248)"), ("Dark", "rgb(12, 17, 23)")):
        page.locator("#page-settings button", has_text=name).click()
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == colour
    turn(page, "overview")


def test_figures_are_those_of_the_interface_and_move_with_it(watched: Watched, url: str) -> None:
    page, said, shown = watched.page, set[str](), list[str]()
    turn(page, "overview")

    for _ in range(400):
        said.add(f"{httpx.get(f'{url}/v1/status').json()['equity']:,.2f}")
        text = page.inner_text("#account .tile.big .value")
        if text in said and text not in shown:
            shown.append(text)
        if len(shown) > 2:
            break
        page.wait_for_timeout(20)

    assert len(shown) > 2, "expected three figures of the interface, one after the other, on the page"


def test_verdicts_say_in_words_why(watched: Watched, url: str) -> None:
    page = watched.page
    newest = httpx.get(f"{url}/v1/verdicts", params={"limit": 1000}).json()["rows"]
    reasons = {row["reason"] for row in newest}

    turn(page, "live")
    expect(page.locator("#panel-verdicts tbody tr").first).to_be_visible()
    text = page.inner_text("#panel-verdicts")

    assert "ok" in reasons
    assert "nothing to object" in text
    assert "✓ approved" in text


def test_markup_in_what_the_daemon_says_is_shown_and_never_run(
    watched: Watched, url: str, tokens: dict[Role, str]
) -> None:
    page = watched.page
    head = {"authorization": f"Bearer {tokens[Role.OPERATOR]}"}
    told = {"strategy": "breakout", "reason": PLANTED, "who": PLANTED[:40]}
    assert httpx.post(f"{url}/v1/pause", json=told, headers=head).status_code == 200

    expect(page.locator("#held")).to_contain_text(PLANTED)
    turn(page, "overview")
    expect(page.locator("#strategies")).to_contain_text(PLANTED)
    turn(page, "strategies")
    expect(page.locator("#page-strategies")).to_contain_text(PLANTED)
    turn(page, "live")
    page.click("#tab-commands")
    expect(page.locator("#panel-commands")).to_contain_text(PLANTED)

    assert page.evaluate("window.planted") is None
    assert page.locator("main script, main img, #held script, #held img").count() == 0
    assert watched.complaints == []
    assert httpx.post(f"{url}/v1/unpause", json=told, headers=head).status_code == 200
    expect(page.locator("#held")).to_be_hidden()


def test_viewer_and_wrong_token_are_told_so_and_nothing_is_done(
    watched: Watched, daemon: DaemonProcess, tokens: dict[Role, str]
) -> None:
    page = watched.page

    page.click("#kill")
    expect(page.locator("dialog button[type=submit]")).to_be_disabled()
    confirm(page, "not mine to give", "HALT", "argo_wrong")
    expect(page.locator(".result")).to_contain_text("This token is not valid. Nothing was done.")
    confirm(page, "not mine to give", "HALT", tokens[Role.VIEWER])
    expect(page.locator(".result")).to_contain_text("This token may not do that")
    page.click("dialog .buttons button:has-text('Cancel')")

    assert page.evaluate("sessionStorage.getItem('argonaut.token')") == tokens[Role.VIEWER]
    assert page.evaluate("document.cookie + location.href").count("argo_") == 0
    assert [one for one in recorded(daemon.state_dir, "command") if one["command"] == "kill"] == []
    expect(page.locator("#verdict")).to_contain_text("Trading")
    watched.complaints.clear()  # a browser notes the two refusals


def test_token_behind_the_number_sign_is_taken_and_out_of_sight_at_once(
    browser: Browser, url: str, tokens: dict[Role, str]
) -> None:
    shown = Watched(browser, f"{url}/#token={tokens[Role.OPERATOR]}")

    expect(shown.page.locator("#access")).to_have_text("Token ✓")
    expect(shown.page.locator("#pulse")).to_contain_text("live")

    assert shown.page.url == f"{url}/"
    assert not any(tokens[Role.OPERATOR] in asked for asked in shown.asked)
    shown.context.close()


def test_kill_from_the_page_halts_the_daemon_and_shows_its_record(
    watched: Watched, daemon: DaemonProcess, url: str, tokens: dict[Role, str]
) -> None:
    page = watched.page
    page.evaluate("sessionStorage.clear()")

    page.click("#kill")
    confirm(page, "prices look wrong", "halt", tokens[Role.OPERATOR])
    expect(page.locator(".result.done")).to_contain_text("Trading state HALTED. On the disk.")
    expect(page.locator(".record")).to_contain_text(
        re.compile(r"Journal record \d+: kill by token operator-")
    )
    page.click("dialog .buttons button:has-text('Close')")

    expect(page.locator("#verdict")).to_contain_text("Halted")
    expect(page.locator("#verdict")).to_contain_text("prices look wrong")
    expect(page.locator("#held")).to_contain_text("everything")
    assert httpx.get(f"{url}/v1/status").json()["trading_state"] == "HALTED"
    kills = [one for one in recorded(daemon.state_dir, "command") if one["command"] == "kill"]
    assert [(one.get("stage"), one["reason"]) for one in kills] == [
        ("asked", "prices look wrong"),
        (None, "prices look wrong"),
    ]
    page.click("#held button:has-text('Resume')")
    confirm(page, "looked at", "RESUME")
    expect(page.locator(".record")).to_contain_text("resume by token operator-")
    page.click("dialog .buttons button:has-text('Close')")
    expect(page.locator("#verdict")).to_contain_text("Trading")


def test_command_line_says_where_it_is(
    daemon: DaemonProcess, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", "--state-dir", str(daemon.state_dir)]) == 0

    assert capsys.readouterr().out == f"{url}/\n"
    assert f"dashboard: {url}/" in daemon.said


def test_nothing_looks_live_once_the_daemon_is_gone(
    watched: Watched, daemon: DaemonProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    page = watched.page
    assert watched.complaints == []

    daemon.stop()

    expect(page.locator("#lost")).to_contain_text("The daemon is not heard")
    expect(page.locator("#pulse")).to_contain_text(re.compile(r"last heard \d+ s ago"))
    assert page.evaluate("getComputedStyle(document.querySelector('main')).opacity") == "0.5"
    assert "live" not in page.inner_text("#pulse")
    assert main(["dashboard", "--state-dir", str(daemon.state_dir)]) == 69
    assert "no daemon runs" in capsys.readouterr().err
