"""A real Prometheus that scrapes a real daemon: every series, every rule and every panel of the dashboard."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.metrics import FAMILIES, Kind
from ops.metrics.dashboard import dashboard
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess, free_port
from tests.support.data import ROOT

BRISK = 1_800
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
_PATIENCE_SECS = 60.0

NOT_HERE = {
    "argonaut_guardian_trips_total",
    "argonaut_halts_total",
    "argonaut_commands_total",
    "argonaut_restrictions",
    "argonaut_alerts_total",
    "argonaut_job_runs_total",
    "argonaut_job_last_end_timestamp_seconds",
    "argonaut_job_last_duration_seconds",
    "argonaut_drift_alarms_total",
}
"""Of a daemon that nothing has happened to."""


@pytest.fixture(scope="module")
def daemon(long_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with a trained policy, regimes and brackets that has traded."""
    folder = tmp_path_factory.mktemp("observed")
    host = write_bot(folder, long_market, ("breakout", "wanderer"), kind="paper")
    trained = ROOT / "configs" / "strategies" / "ppo_hmm_demo.toml"
    text = host.read_text().replace('"wanderer.toml"', f'"wanderer.toml", "{trained}"')
    host.write_text(text.replace("starting_balance = 300_000.0", "starting_balance = 400_000.0"))
    with DaemonProcess(host, folder / "var", "--speed", BRISK) as process:
        process.ready()
        process.until(lambda: "breakout: BUY" in process.said and "wanderer: SELL" in process.said)
        yield process


def url(daemon: DaemonProcess) -> str:
    address: str = daemon.ask("status", "--json").document()["api_url"]
    return address


def scrape(daemon: DaemonProcess) -> str:
    answer = httpx.get(f"{url(daemon)}/metrics")
    assert answer.status_code == 200
    return answer.text


def test_daemon_shows_every_series_of_the_table_with_its_labels(daemon: DaemonProcess) -> None:
    text = scrape(daemon)

    found = dict(re.findall(r"^# TYPE (argonaut_\w+) (\w+)$", text, re.MULTILINE))
    for family in FAMILIES:
        assert found[family.exposed_name] == family.kind.value
        suffix = "_count" if family.kind is Kind.HISTOGRAM else ""
        if family.exposed_name in NOT_HERE:
            continue
        series = re.search(rf"^{family.exposed_name}{suffix}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        assert series is not None, family
        assert set(re.findall(r'(\w+)="', series[1] or "")) == set(family.labels)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_daemon_s_series_are_named_as_prometheus_wants_them(daemon: DaemonProcess) -> None:
    assert PROMTOOL is not None
    command = [PROMTOOL, "check", "metrics"]

    checked = subprocess.run(command, input=scrape(daemon), capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


def test_daemon_is_ready_and_its_numbers_are_those_of_its_status(daemon: DaemonProcess) -> None:
    ready = httpx.get(f"{url(daemon)}/readyz")
    before = daemon.ask("status", "--json").document()
    text = scrape(daemon)
    after = daemon.ask("status", "--json").document()

    assert (ready.status_code, ready.json()["because"]) == (200, [])
    for early, late in zip(before["strategies"], after["strategies"], strict=True):
        found = re.search(
            rf'^argonaut_decisions_total{{strategy="{early["name"]}"}} (\S+)$', text, re.MULTILINE
        )
        assert found is not None
        assert early["decisions"] <= float(found[1]) <= late["decisions"]
    policy = re.search(r'^argonaut_bundle_info{.*strategy="breakout".*}', text, re.MULTILINE)
    assert policy is not None
    assert before["strategies"][0]["policy_id"] in policy[0]


class Prometheus:
    """A server of its own that scrapes one address five times a second."""

    def __init__(self, folder: Path, target: str) -> None:
        assert PROMETHEUS is not None
        config = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "ops" / "prometheus" / "rules.yaml")],
            "scrape_configs": [{"job_name": "argonaut", "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yaml").write_text(json.dumps(config))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, path: str, **params: str) -> Any:
        """The data of an answer; None where there is none."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=5.0)
        except httpx.TransportError:
            return None
        assert answer.status_code in {200, 503}, answer.text
        return answer.json()["data"] if answer.status_code == 200 else None

    def until_found(self, query: str) -> bool:
        """Whether a query finds something in time."""
        deadline = time.monotonic() + _PATIENCE_SECS
        while time.monotonic() < deadline:
            found = self.ask("query", query=query)
            if found is not None and found["result"]:
                return True
            time.sleep(0.1)
        return False


@pytest.fixture(scope="module")
def prometheus(daemon: DaemonProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if PROMETHEUS is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), url(daemon).removeprefix("http://"))
    yield server
    server.process.terminate()
    server.process.wait()


def test_every_panel_of_the_dashboard_shows_something(prometheus: Prometheus) -> None:
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]

    empty = [
        query for query in queries if not prometheus.until_found(query.replace("$__rate_interval", "30s"))
    ]

    assert len(queries) >= 30
    assert empty == []


def test_rules_are_well_and_nothing_alarms_that_should_not(prometheus: Prometheus) -> None:
    assert prometheus.until_found("ALERTS")

    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    assert {rule.get("lastError", "") for rule in rules} == {""}
    alarming = {rule["name"] for rule in rules if rule["state"] == "firing"}
    # Its trading day lasts 48 s here, and a journal of minutes ago is a journal of days ago.
    assert "ArgonautAlertsWork" in alarming
    assert not alarming & {"ArgonautDown", "ArgonautNotReady", "ArgonautHalted", "ArgonautNotReconciled"}


def test_halted_daemon_is_seen_to_be(daemon: DaemonProcess, prometheus: Prometheus) -> None:
    assert daemon.ask("kill", "--reason", "to be seen").code == 0

    assert prometheus.until_found('ALERTS{alertname="ArgonautHalted",alertstate="firing"} == 1')
    text = scrape(daemon)

    assert 'argonaut_commands_total{command="kill"} 1.0' in text
    assert re.search(r'argonaut_restrictions{origin="operator",state="HALTED"} 1.0', text)
    assert 'argonaut_trading_state{strategy="wanderer"} 2.0' in text


def test_daemon_that_is_gone_is_seen_to_be(daemon: DaemonProcess, prometheus: Prometheus) -> None:
    assert prometheus.until_found('up{job="argonaut"} == 1')

    daemon.process.kill()

    assert prometheus.until_found('up{job="argonaut"} == 0')
