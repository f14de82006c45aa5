"""Questions about the past, answered by a process of their own."""

import asyncio
import io
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ops.api import answers
from ops.api.archive import MOST_WAITING, Archive
from ops.api.problems import ProblemError
from ops.api.reader import serve
from ops.disk import LocalDisk
from ops.journal import Kind
from ops.journal.questions import Question
from ops.journal.segments import segment_numbers, segment_path
from ops.state_dir import INDEX, JOURNAL
from tests.support.journals import open_journal

MINUTE = 60 * 10**9


def _order(own_id: str, side: str, **more: Any) -> dict[str, Any]:
    return {
        "client_order_id": own_id, "decision_id": "d", "strategy": "one", "instrument_id": "A.X",
        "side": side, "ts_event": MINUTE, "quantity": 1.0, "kind": "MARKET", "price": None,
        "trigger_price": None, "role": "OPEN",
    } | more  # fmt: skip


def _records(number: int) -> list[tuple[Kind, dict[str, Any]]]:
    own_id, side = f"AR{number}", ("BUY", "SELL")[number % 2]
    at = (number + 1) * MINUTE
    decision = {
        "ts_event": at, "strategy": "one", "observation_sha256": "0", "regime_state": number % 2,
        "regime_probs": [0.5, 0.5], "closes": [1.0], "action": [0.1], "confidence": 1.0,
        "weights": [float("nan")], "targets": [1.0],
    }  # fmt: skip
    verdict = {
        "ts_event": at, "strategy": "one", "instrument_id": "A.X", "requested": 1.0, "approved": 1.0,
        "reason": "ok", "limit": float("nan"), "value": float("nan"),
    }  # fmt: skip
    equity = {
        "ts_event": at, "strategy": "one", "equity": 100.0 + number, "cash": 1.0, "gross_exposure": 1.0,
        "net_exposure": 1.0, "realised": 0.0, "unrealised": 0.0, "fees": 0.0, "drawdown": 0.0,
    }  # fmt: skip
    fill = _order(own_id, side) | {"trade_id": f"T{number}", "price": 10.0, "fee": 0.1, "liquidity": "TAKER"}
    return [
        (Kind.DECISION, decision),
        (Kind.VERDICT, verdict),
        (Kind.INTENT, {"strategy": "one", "intents": [_order(own_id, side)]}),
        (Kind.OUTCOME, _order(own_id, side) | {"status": "FILLED", "reason": ""}),
        (Kind.FILL, fill),
        (Kind.STATE, {"strategy": "one", "state": {}, "equity": equity}),
    ]


def write_journal(state_dir: Path, rounds: int = 4) -> None:
    journal, _ = open_journal(LocalDisk(), folder=state_dir / JOURNAL)
    for number in range(rounds):
        for kind, body in _records(number):
            journal.append(kind, body, number)
    journal.close(9)


def asking[T](state_dir: Path, use: Callable[[Archive], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        archive = Archive(state_dir, time.monotonic, **{"patience_secs": 60.0} | options)
        try:
            return await use(archive)
        finally:
            await archive.close()

    return asyncio.run(run())


ROWS: dict[Question, type[BaseModel]] = {
    Question.ORDERS: answers.OrderRow,
    Question.FILLS: answers.FillRow,
    Question.TRADES: answers.TradeRow,
    Question.DECISIONS: answers.DecisionRow,
    Question.VERDICTS: answers.VerdictRow,
    Question.EQUITY: answers.EquityRow,
    Question.REGIMES: answers.RegimeRow,
    Question.PNL: answers.PnlRow,
}


def test_every_page_is_as_it_is_described_and_goes_on_where_the_last_ended(tmp_path: Path) -> None:
    write_journal(tmp_path)

    async def use(archive: Archive) -> dict[Question, list[bytes]]:
        found = {}
        for question in ROWS:
            found[question] = [await archive.page(question, {"limit": 1})]
            if before := json.loads(found[question][0])["next_cursor"]:
                found[question].append(await archive.page(question, {"limit": 100, "before": before}))
        return found

    found = asking(tmp_path, use)

    counts = {}
    for question, row in ROWS.items():
        page = answers.Page[row]  # type: ignore[valid-type]
        pages = [page.model_validate_json(one, strict=True) for one in found[question]]
        assert len(pages[0].rows) == 1
        counts[question.value] = sum(len(page.rows) for page in pages)
    assert counts == {
        "orders": 4, "fills": 4, "trades": 2, "decisions": 4, "verdicts": 4, "equity": 4, "regimes": 4,
        "pnl": 1,
    }  # fmt: skip


def test_what_is_recorded_meanwhile_is_in_the_next_answer(tmp_path: Path) -> None:
    journal, writer = open_journal(LocalDisk(), folder=tmp_path / JOURNAL)

    async def use(archive: Archive) -> list[int]:
        counts = []
        for number in range(3):
            for kind, body in _records(number):
                journal.append(kind, body, number)
            writer.step()
            page = json.loads(await archive.page(Question.FILLS, {"limit": 10}))
            counts.append(len(page["rows"]))
        return counts

    assert asking(tmp_path, use) == [1, 2, 3]
    journal.close(9)


def test_journal_that_is_broken_is_told_and_asked_again_once_it_is_mended(tmp_path: Path) -> None:
    write_journal(tmp_path)
    (number,) = segment_numbers(LocalDisk(), tmp_path / JOURNAL)
    path = segment_path(tmp_path / JOURNAL, number)
    good = path.read_bytes()

    async def use(archive: Archive) -> int:
        path.write_bytes(good.replace(b'"AR1"', b'"AR9"', 1))
        with pytest.raises(ProblemError, match="hash does not fit"):
            await archive.page(Question.FILLS, {"limit": 10})
        path.write_bytes(good)
        return len(json.loads(await archive.page(Question.FILLS, {"limit": 10}))["rows"])

    assert asking(tmp_path, use) == 4


def test_question_that_comes_once_the_journal_is_mended_gets_no_answer_of_before(tmp_path: Path) -> None:
    write_journal(tmp_path)
    (number,) = segment_numbers(LocalDisk(), tmp_path / JOURNAL)
    path = segment_path(tmp_path / JOURNAL, number)
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"AR1"', b'"AR9"', 1))
    questions = [{"id": at, "question": "fills", "filter": {"limit": 10}} for at in (1, 2)]

    class Lines(io.BytesIO):
        """Mends the journal before the second question is there to be read."""

        def readline(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                path.write_bytes(good)
            return super().readline(size)

    lines, out = Lines(b"".join(json.dumps(one).encode() + b"\n" for one in questions)), io.BytesIO()
    serve(tmp_path, lines, out)

    out.seek(0)
    answered = []
    while head := out.readline().split():
        answered.append((int(head[0]), int(head[1])))
        out.read(int(head[2]))
    assert answered == [(1, 503), (2, 200)]


def test_index_that_is_damaged_while_it_is_used_costs_no_answer(tmp_path: Path) -> None:
    write_journal(tmp_path)

    async def use(archive: Archive) -> int:
        await archive.page(Question.FILLS, {"limit": 10})
        (tmp_path / INDEX).write_bytes(b"nonsense" * 4_000)
        for leftover in tmp_path.glob(f"{INDEX}-*"):
            leftover.unlink()
        return len(json.loads(await archive.page(Question.FILLS, {"limit": 10}))["rows"])

    assert asking(tmp_path, use) == 4


def test_reader_has_nothing_of_the_daemons_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENUE_API_SECRET", "canary")
    script = "import os, sys; sys.stdin.readline(); t = str(dict(os.environ)).encode(); "
    script += "sys.stdout.buffer.write(b'1 200 %d\\n%b' % (len(t), t))"

    async def use(archive: Archive) -> bytes:
        return await archive.page(Question.FILLS, {})

    told = asking(tmp_path, use, command=[sys.executable, "-c", script])

    assert b"PATH" in told
    assert b"canary" not in told


def test_question_that_takes_too_long_is_to_be_asked_again_and_too_many_are_refused(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()"]

    async def use(archive: Archive) -> list[str]:
        asked = (archive.page(Question.FILLS, {}) for _ in range(MOST_WAITING + 1))
        return [str(one) for one in await asyncio.gather(*asked, return_exceptions=True)]

    told = asking(tmp_path, use, command=sleeper, patience_secs=0.2)

    assert sorted(set(told)) == [
        "the index is being made from a long journal; ask again",
        "too many questions about the past",
    ]


def test_reader_that_dies_is_told_and_not_started_again_at_once(tmp_path: Path) -> None:
    dying = [sys.executable, "-c", "raise SystemExit(3)"]

    async def use(archive: Archive) -> list[str]:
        return [
            str(one)
            for _ in range(2)
            for one in await asyncio.gather(archive.page(Question.FILLS, {}), return_exceptions=True)
        ]

    assert asking(tmp_path, use, command=dying) == ["the reader ended", "the reader has just ended"]


ECHO = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    sys.stderr.write(asked["name"] + "\\n")
    while asked["name"] == "slow" and not os.path.exists(asked["until"]):
        time.sleep(0.001)
    sys.stdout.write(f"{asked['id']} 200 2\\n{{}}")
    sys.stdout.flush()
"""
"""Says on standard error what it is asked; what is slow is answered once a file is there."""


def test_question_whose_asker_has_given_up_is_dropped_before_it_is_answered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def use(archive: Archive) -> None:
        slow = {"name": "slow", "until": str(tmp_path / "go")}
        names = [slow, {"name": "given-up"}, {"name": "waited-for"}]
        first, given_up, last = (asyncio.create_task(archive.ask(one)) for one in names)
        async with asyncio.timeout(30.0):
            while "slow" not in (said := said_so_far()):
                await asyncio.sleep(0.001)
        assert said.split() == ["slow"]
        given_up.cancel()
        (tmp_path / "go").touch()
        await asyncio.gather(first, last)

    told: list[str] = []

    def said_so_far() -> str:
        told.append(capfd.readouterr().err)
        return "".join(told)

    asking(tmp_path, use, command=[sys.executable, "-c", ECHO])

    assert said_so_far().split() == ["slow", "waited-for"]
