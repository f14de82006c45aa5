"""The routes of runs: what may be asked for, and how a run is followed to its end."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.api.connection import Peer
from ops.api.following import Followers
from ops.api.problems import ProblemError
from ops.api.roles import ANYBODY, Caller, Role
from ops.api.stream import MOST_CLIENTS, EventStream
from ops.jobs.job import Command
from ops.runs.folder import PROGRESS
from ops.runs.queue import RunQueue
from tests.support.operators import FakeOperator, asked, on_socket

OPERATOR = FakeOperator()
APP = on_socket(OPERATOR)


@pytest.fixture(autouse=True)
def _nothing_was_asked() -> None:
    OPERATOR.log.clear()


def ask(method: str, path: str, body: Any = None) -> httpx.Response:
    async def use(client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(method, path, json=body)

    return asked(APP, use, Peer("uid 7", 7))


@pytest.mark.parametrize(
    ("path", "code", "answer"),
    [
        ("/v1/runs", 200, [{"run_id": 7, "limit": 20, "kind": None}]),
        ("/v1/runs?limit=1000&kind=train", 200, [{"run_id": 7, "limit": 1000, "kind": "train"}]),
        ("/v1/runs/7", 200, {"run": {"run_id": 7, "state": "SUCCEEDED"}, "worth": None}),
    ],
)
def test_question_is_answered(path: str, code: int, answer: Any) -> None:
    found = ask("GET", path)

    assert (found.status_code, found.json()) == (code, answer)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/runs?limit=0", 422),
        ("GET", "/v1/runs?limit=1001", 422),
        ("GET", "/v1/runs?kind=live", 422),
        ("GET", "/v1/runs?many=1", 422),
        ("GET", "/v1/runs/8", 404),
        ("GET", "/v1/runs/0", 422),
        ("GET", "/v1/runs/%2e%2e", 422),
        ("GET", "/v1/runs/8/artifacts", 404),
        ("GET", "/v1/runs/8/bundle", 404),
        ("DELETE", "/v1/runs/7", 422),
        ("DELETE", "/v1/runs/8?reason=r", 404),
    ],
)
def test_question_that_has_no_answer_is_a_problem(method: str, path: str, code: int) -> None:
    assert ask(method, path).status_code == code
    assert OPERATOR.done == []


BACKTEST = {"kind": "backtest", "config": "backtest.toml"}
TRAIN = {"kind": "train", "config": "training.toml"}
WALK = {"kind": "walk-forward", "config": "training.toml"}


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (
            BACKTEST | {"start": "2024-01-01", "strategies": ["models/one/latest/strategy.toml"]},
            {
                "config": "backtest.toml", "start": "2024-01-01", "end": None, "baselines": True,
                "strategies": ["models/one/latest/strategy.toml"],
            },
        ),
        (TRAIN, {"config": "training.toml"}),
        (
            WALK | {"train_bars": 200, "test_bars": 50, "baselines": False},
            {
                "config": "training.toml", "train_days": 252, "test_days": 63, "train_bars": 200,
                "test_bars": 50, "baselines": False,
            },
        ),
    ],
)  # fmt: skip
def test_run_is_recorded_and_taken_on_with_every_option_in_place(
    body: dict[str, Any], options: dict[str, Any]
) -> None:
    answer = ask("POST", "/v1/runs", body | {"reason": "why", "who": "ada"})

    assert (answer.status_code, answer.json()) == (202, {"run_id": 7})
    assert OPERATOR.log == [
        ("asked", "runs create", "ada (uid 7)", "why", True),
        ("create", body["kind"], options),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "live", "config": "live.toml"},
        {"kind": "regime-fit", "config": "paper.toml", "strategy": "one.toml"},
        {"config": "training.toml"},
        TRAIN | {"start": "2024-01-01"},
        TRAIN | {"args": ["--out", "/etc"]},
        TRAIN | {"config": "../training.toml"},
        TRAIN | {"config": "/etc/passwd"},
        TRAIN | {"config": "a/../../training.toml"},
        TRAIN | {"config": "training.json"},
        TRAIN | {"config": "-rf.toml"},
        TRAIN | {"config": ".secret.toml"},
        TRAIN | {"config": "training.toml\n"},
        TRAIN | {"config": 7},
        BACKTEST | {"start": "yesterday"},
        BACKTEST | {"start": 20240101},
        BACKTEST | {"strategies": ["../x.toml"]},
        BACKTEST | {"strategies": ["x.toml"] * 21},
        BACKTEST | {"baselines": 0},
        WALK | {"train_days": 0},
        WALK | {"train_days": 1.5},
        WALK | {"train_days": True},
        WALK | {"train_bars": 1, "test_bars": 100},
    ],
)
def test_request_that_is_not_exactly_of_its_kind_does_nothing(body: dict[str, Any]) -> None:
    answer = ask("POST", "/v1/runs", body | {"reason": "r"})

    assert answer.status_code == 422
    assert OPERATOR.log == []


@pytest.mark.parametrize("name", ["train_bars", "test_bars"])
def test_bars_to_train_and_to_test_on_come_together(name: str) -> None:
    assert ask("POST", "/v1/runs", WALK | {name: 100, "reason": "r"}).status_code == 409
    assert OPERATOR.log == []


def test_file_that_is_not_there_is_unknown() -> None:
    body = TRAIN | {"config": "nope.toml", "reason": "r"}

    assert ask("POST", "/v1/runs", body).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "log"),
    [
        (
            "POST", "/v1/runs/7/cancel", {"reason": "why"},
            [("asked", "runs cancel", "uid 7", "why", True), ("cancel", 7, "uid 7")],
        ),
        (
            "DELETE", "/v1/runs/7?reason=why&who=ada", None,
            [("asked", "runs delete", "ada (uid 7)", "why", True), ("delete", 7)],
        ),
    ],
)  # fmt: skip
def test_command_is_recorded_before_it_acts(
    method: str, path: str, body: Any, log: list[tuple[Any, ...]]
) -> None:
    assert ask(method, path, body).status_code == 200
    assert OPERATOR.log == log


FIT = {"config": "paper.toml", "strategy": "strategies/one.toml"}


def test_fit_is_a_run_of_its_own_kind() -> None:
    answer = ask("POST", "/v1/regime/fit", FIT | {"num_states": 2, "reason": "r"})

    assert answer.status_code == 202
    assert OPERATOR.done == [
        (
            "create",
            "regime-fit",
            FIT
            | {
                "start": None, "end": None, "num_states": 2, "covariance": "diagonal", "stay_bars": 10.0,
                "seed": 7,
            },
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"num_states": 0}, {"num_states": 13}, {"covariance": "tied"}, {"seed": -1}, {"stay_bars": -1.0},
        {"strategy": "../one.toml"}, {"kind": "regime-fit"}, {"stay_bars": "nan"},
    ],
)  # fmt: skip
def test_fit_beyond_its_bounds_does_nothing(more: dict[str, Any]) -> None:
    assert ask("POST", "/v1/regime/fit", FIT | {"reason": "r"} | more).status_code == 422
    assert OPERATOR.log == []


def test_beliefs_are_asked_of_the_reader_with_every_bound_in_place() -> None:
    answer = ask("GET", "/v1/regime/infer?name=one&start=2024-01-01&limit=5")

    assert answer.json()["asked"] == {
        "question": "regimes", "name": "one", "bundle_id": "active", "start": "2024-01-01", "end": None,
        "limit": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    "query", ["", "name=One", "name=..", "name=one&limit=5001", "name=one&bundle_id=..", "name=one&start=now"]
)
def test_beliefs_beyond_their_bounds_are_asked_of_nobody(query: str) -> None:
    assert ask("GET", f"/v1/regime/infer?{query}").status_code == 422


class Run:
    """One run of a queue, and whoever follows it.

    Args:
        state_dir: Where it lies.
    """

    def __init__(self, state_dir: Path) -> None:
        self.end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.began = asyncio.Event()
        self.queue = RunQueue(
            state_dir, lambda folder: Command((folder.name,)), now=lambda: 1.0, launch=self._launch
        )
        self.followers = Followers(self.queue, look_secs=0.001)

    async def _launch(self, command: Command, log: Path) -> int:
        self.began.set()
        return await self.end

    def says(self, words: str) -> None:
        with self.queue.folder(1).log.open("a") as log:
            log.write(words)

    async def close(self) -> None:
        await self.followers.close()
        await self.queue.close()


class Client:
    """Reads a stream as a browser does."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.is_over = False

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(1e6)
        raise AssertionError("it never hangs up")

    async def send(self, message: Any) -> None:
        self.is_over = self.is_over or message.get("more_body") is False
        for text in message.get("body", b"").decode().split("\n\n"):
            if text.startswith("event: "):
                name, data = text.split("\n")
                self.events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not condition():
                await asyncio.sleep(0.001)


def test_run_is_followed_from_its_request_to_its_end(tmp_path: Path) -> None:
    async def run() -> list[tuple[str, Any]]:
        one, client = Run(tmp_path), Client()
        await one.queue.start()
        await one.queue.create("train", {"options": {}}, "ada")
        await one.began.wait()
        stream = EventStream(one.followers, await one.followers.follow(1, ANYBODY))
        following = asyncio.create_task(stream({"type": "http"}, client.receive, client.send))
        one.says("first\nsec")
        await client.until(lambda: len(client.events) == 2)
        one.queue.folder(1).write(PROGRESS, {"done_frac": 0.5})
        await client.until(lambda: len(client.events) == 3)
        one.says("ond")
        one.end.set_result(0)
        await following
        assert client.is_over
        await one.close()
        return client.events

    events = asyncio.run(run())

    assert [name for name, _ in events] == ["init", "log", "progress", "log", "state", "end"]
    told = [data for _, data in events]
    assert (told[0]["run"]["state"], told[0]["request"]["kind"]) == ("RUNNING", "train")
    assert told[1:4] == [
        {"text": "first\n", "is_cut": False},
        {"done_frac": 0.5},
        {"text": "second", "is_cut": False},
    ]
    assert [one["state"] for one in told[4:]] == ["SUCCEEDED", "SUCCEEDED"]


def test_stream_of_a_run_that_has_ended_or_is_deleted_ends(tmp_path: Path) -> None:
    async def run() -> list[list[str]]:
        one = Run(tmp_path)
        await one.queue.start()
        await one.queue.create("train", {"options": {}}, "ada")
        names = []
        for step in ("running, then deleted", "ended"):
            client = Client()
            if step == "ended":
                one.end = asyncio.get_running_loop().create_future()
                one.end.set_result(1)
                await one.queue.create("train", {"options": {}}, "ada")
                async with asyncio.timeout(10.0):
                    while (await one.queue.run(2)).ended_at is None:
                        await asyncio.sleep(0.001)
            number = 2 if step == "ended" else 1
            stream = EventStream(one.followers, await one.followers.follow(number, ANYBODY))
            following = asyncio.create_task(stream({"type": "http"}, client.receive, client.send))
            if number == 1:
                await one.began.wait()
                await one.queue.cancel(1, "ada")
                await one.queue.delete(1)
            await following
            names.append([name for name, _ in client.events])
        await one.close()
        return names

    deleted, ended = asyncio.run(run())

    assert (deleted[0], deleted[-1]) == ("init", "end")
    assert ended == ["init", "end"]


def test_no_more_follow_than_may_and_whoever_leaves_makes_room(tmp_path: Path) -> None:
    async def run() -> None:
        one = Run(tmp_path)
        await one.queue.start()
        await one.queue.create("train", {"options": {}}, "ada")
        admin = Caller("uid 7", Role.ADMIN)
        followed = [await one.followers.follow(1, admin) for _ in range(MOST_CLIENTS)]

        with pytest.raises(ProblemError):
            await one.followers.follow(1, admin)
        one.followers.leave(followed[0])
        await one.followers.follow(1, admin)
        await one.close()

    asyncio.run(run())
