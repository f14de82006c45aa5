"""A real daemon's dashboard in a real browser: what it shows is so, and what it is told is done."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bot.cli.app import main
from ops.api.roles import Role
from tests.support.bots import write_bot
from tests.support.browser import Watched, browsing, needs_chromium
from tests.support.command import DaemonProcess
from tests.support.journals import recorded
from tests.support.operators import make_tokens

pytestmark = needs_chromium

PACE = 300
"""Five minute bars a second: something happens all the time, and a figure stays for a look."""
PLANTED = '<script>window.planted = 1</script><img src=x onerror="window.planted = 2">'
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dashboard")


@pytest.fixture(scope="module")
def tokens(place: Path) -> dict[Role, str]:
    (place / "var").mkdir(mode=0o700)
    made, _ = make_tokens(place / "var", *Role)
    return dict(zip(Role, made, strict=True))


@pytest.fixture(scope="module")
def daemon(long_market: Path, place: Path, tokens: dict[Role, str]) -> Iterator[DaemonProcess]:
    """Open to read, with tokens for commands, and with markup where a strategy says what it is."""
    host = write_bot(place, long_market, ("wanderer", "breakout"), kind="paper")
    host.write_text(host.read_text().replace("[api]\n", "[api]\ntokens = true\nopen_to_read = true\n"))
    strategy = place / "breakout.toml"
    strategy.write_text(strategy.read_text().replace("\n", f"\ndescription = '''{PLANTED}'''\n", 1))
    with DaemonProcess(host, place / "var", "--speed", PACE) as process:
        process.ready()
        process.until(lambda: "wanderer: BUY" in process.said)
        yield process


@pytest.fixture(scope="module")
def url(daemon: DaemonProcess) -> str:
    found: str = daemon.ask("status", "--json").document()["api_url"]
    return found


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


def test_page_shows_what_runs_without_complaint_and_asks_nobody_but_the_daemon(watched: Watched) -> None:
    page = watched.page

    expect(page.locator("#verdict")).to_contain_text("Trading")
    expect(page.locator("#pulse")).to_contain_text("live")
    expect(page.locator("#kind")).to_have_text("PAPER")
    expect(page.locator("#strategies article")).to_have_count(2)
    expect(page.locator("#positions tbody tr").first).to_be_visible()
    expect(page.locator("#activity tbody tr").first).to_be_visible()
    expect(page.locator("#limits .meter").first).to_be_visible()
    expect(page.locator("#jobs tbody tr").first).to_be_visible()
    expect(page.locator("#market .readout")).to_contain_text(re.compile(r"O [\d,.]+ +H "))
    assert page.evaluate("document.querySelector('#account .plot').chart.data[1].length") > 0
    assert watched.complaints == []
    assert watched.elsewhere == []


def test_figures_are_those_of_the_interface_and_move_with_it(watched: Watched, url: str) -> None:
    page, said, shown = watched.page, set[str](), list[str]()

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
    expect(page.locator("#strategies")).to_contain_text(PLANTED)
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


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1024, "light"), (1440, "dark")])
def test_page_fits_and_says_its_name_to_whoever_cannot_see_it(
    browser: Browser, url: str, width: int, scheme: str
) -> None:
    shown = Watched(browser, url, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = shown.page
    expect(page.locator("#strategies article")).to_have_count(2)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = "button:not([aria-label]):empty, input:not([id]):not([aria-label]), img:not([alt])"
    assert page.locator(nameless).count() == 0
    assert page.evaluate(CONTRAST) == []
    shown.context.close()


CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const c = parse(getComputedStyle(node).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest("[aria-hidden], :disabled, .skip")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.tagName}.${node.className} ${node.textContent}`);
  }
  return found;
}"""
"""Text whose contrast with what is behind it is below 4.5 (WCAG 2.2, 1.4.3)."""


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
