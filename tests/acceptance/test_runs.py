"""Runs of a real daemon that trades: a backtest, a training, their curves and files, a crash, and a model."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.exit_codes import ExitCode
from tests.support.bots import write_bot
from tests.support.command import DaemonProcess
from tests.support.learners import STRATEGY, TRAINING

BRISK = 600
BACKTEST: dict[str, Any] = {
    "kind": "backtest",
    "config": "backtest.toml",
    "end": "2024-01-01T06:00",
    "baselines": False,
}


@pytest.fixture
def place(long_market: Path, tmp_path: Path) -> Path:
    """A paper host with what its runs may name beside it."""
    host = write_bot(tmp_path, long_market, ("holder",), kind="paper")
    write_bot(tmp_path, long_market, ("holder",))
    (tmp_path / "learner.toml").write_text(STRATEGY)
    (tmp_path / "training.toml").write_text(TRAINING)
    return host


@pytest.fixture
def daemon(place: Path, tmp_path: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(place, tmp_path / "var", "--speed", BRISK) as process:
        process.ready()
        yield process


def ask(daemon: DaemonProcess, method: str, path: str, **more: Any) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(daemon.state_dir / "argonaut.sock"))
    with httpx.Client(transport=transport, base_url="http://argonaut", timeout=90.0) as client:
        answer = client.request(method, path, **more)
    assert answer.is_success, answer.text
    return answer


def begin(daemon: DaemonProcess, route: str = "/v1/runs", **body: Any) -> int:
    number: int = ask(daemon, "POST", route, json=body | {"reason": "a test"}).json()["run_id"]
    return number


def states(daemon: DaemonProcess) -> list[str]:
    return [run["state"] for run in ask(daemon, "GET", "/v1/runs").json()[::-1]]


def follow(daemon: DaemonProcess, number: int) -> list[tuple[str, Any]]:
    """Every event of a run, to its end."""
    text = ask(daemon, "GET", f"/v1/runs/{number}/stream").text
    events = [one.split("\n") for one in text.split("\n\n") if one.startswith("event: ")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in events]


def test_backtest_training_and_fit_beside_trading_and_what_they_leave(daemon: DaemonProcess) -> None:
    backtest = begin(daemon, **BACKTEST)
    training = begin(daemon, kind="train", config="training.toml")
    fitting = {"config": "backtest.toml", "strategy": "learner.toml", "num_states": 2, "end": "2024-01-02"}
    fit = begin(daemon, "/v1/regime/fit", **fitting)

    events = follow(daemon, training)
    assert [name for name, _ in events][:: len(events) - 1] == ["init", "end"]
    assert {name for name, _ in events} >= {"init", "state", "progress", "end"}, events
    assert [one["done_frac"] for name, one in events if name == "progress"][-1] == 1.0
    assert [one["state"] for name, one in events if name == "state"] == ["RUNNING", "SUCCEEDED"]
    assert follow(daemon, fit)[-1][1]["state"] == "SUCCEEDED"
    assert states(daemon) == ["SUCCEEDED"] * 3

    shown = ask(daemon, "GET", f"/v1/runs/{backtest}").json()
    report = ask(daemon, "GET", f"/v1/runs/{backtest}/files/output/report.html")
    assert report.content == (daemon.state_dir / shown["outputs"]["output"] / "report.html").read_bytes()
    known = ask_raw(daemon, f"/v1/runs/{backtest}/files/output/report.html", report.headers["etag"])
    assert known.status_code == 304

    tags = ask(daemon, "GET", f"/v1/runs/{training}/tensorboard/tags").json()
    loss = ask(daemon, "GET", f"/v1/runs/{training}/tensorboard/scalars?tag=train/value_loss").json()
    gradients = ask(daemon, "GET", f"/v1/runs/{training}/tensorboard/gradients").json()
    assert "train/value_loss" in tags["scalars"]
    assert [point["step"] for point in loss["tags"]["train/value_loss"]] == [1024, 2048, 3072, 4096]
    assert gradients["steps"] == [1024, 2048, 3072, 4096]

    bundle = ask(daemon, "GET", f"/v1/runs/{training}/bundle?include_model=true").content
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert archive.testzip() is None
        assert {"model/policy.onnx", "output/progress.jsonl", "run.log"} <= set(archive.namelist())

    model = ask(daemon, "GET", f"/v1/runs/{training}").json()["result"]["bundle_id"]
    body = {"name": "learner", "bundle_id": "latest", "reason": "a test"}
    assert ask(daemon, "POST", "/v1/models/promote", json=body).json()["bundle_id"] == model
    beliefs = ask(daemon, "GET", "/v1/regime/infer?name=learner&limit=3&end=2024-01-02").json()["beliefs"]
    assert [sum(one["filtered_probs"]) for one in beliefs] == pytest.approx([1.0] * 3)

    ask(daemon, "DELETE", f"/v1/runs/{training}?reason=done")
    assert ask(daemon, "GET", "/v1/models/learner/active").json()["bundle_id"] == model
    assert not list((daemon.state_dir / "training").iterdir())
    listed = daemon.ask("runs", "list", "--json").document()
    assert [(one["run_id"], one["job"]) for one in listed] == [(fit, "regime-fit"), (backtest, "backtest")]
    assert daemon.ask("runs", "show", training).code == ExitCode.USAGE


def ask_raw(daemon: DaemonProcess, path: str, etag: str) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(daemon.state_dir / "argonaut.sock"))
    with httpx.Client(transport=transport, base_url="http://argonaut") as client:
        return client.get(path, headers={"if-none-match": etag})


def test_killed_daemon_s_run_is_said_to_be_cut_off_and_what_waited_is_carried_out(
    place: Path, tmp_path: Path
) -> None:
    endless = TRAINING.replace("total_timesteps = 4_096", "total_timesteps = 400_000_000")
    (tmp_path / "endless.toml").write_text(endless)
    with DaemonProcess(place, tmp_path / "var", "--speed", BRISK) as first:
        first.ready()
        begin(first, kind="train", config="endless.toml")
        begin(first, **BACKTEST)
        progress = tmp_path / "var" / "supervised" / "000001" / "progress.json"
        first.until(progress.exists)
        first.process.kill()
        first.wait()
        found = first.ask("runs", "list", "--json").document()
        assert [one["state"] for one in found] == ["QUEUED", "INTERRUPTED"]

    with DaemonProcess(place, tmp_path / "var", "--speed", BRISK) as second:
        second.ready()
        second.until(lambda: states(second) == ["INTERRUPTED", "SUCCEEDED"])
        again = begin(second, kind="train", config="endless.toml")
        assert second.ask("runs", "cancel", again, "--json").document()["state"] == "CANCELLED"
        assert second.ask("runs", "delete", again).code == ExitCode.OK
        assert states(second) == ["INTERRUPTED", "SUCCEEDED"]
