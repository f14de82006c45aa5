import errno
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ops.disk import LocalDisk
from ops.latch import LATCH, TradingLatch, as_fields, decode, encode, from_fields
from strategies.errors import SafetyError
from strategies.gate import TradingGate
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope
from tests.support.latch_disk import RefusingDisk

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
PATH = Path("state/latch.json")
FULL = OSError(errno.ENOSPC, "No space left on device")
ONE = Scope.parse("strategy:one")
KILL = Restriction(EVERYTHING, HALTED, 'a "reason" – with ünicode', "cli me", 1_700_000_000_000_000_001)
LOSS = Restriction(ONE, REDUCING, "daily_loss: 5", "daily_loss", 3, Origin.AUTOMATIC, until_ts=9)


def make(
    disk: LocalDisk, path: Path = PATH, *, load: bool = True
) -> tuple[TradingLatch, TradingGate, list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []
    gate = TradingGate(armed=True, now=lambda: 5)
    latch = TradingLatch(path, disk, gate, record=lambda _, fields: records.append(fields), now=lambda: 5)
    if load:
        latch.load()
    return latch, gate, records


def test_latch_without_a_file_is_active_and_says_that_it_is_fresh() -> None:
    latch, gate, _ = make(RefusingDisk())

    assert (latch.is_fresh, latch.restrictions, gate.state()) == (True, (), ACTIVE)


def test_latch_holds_after_a_restart_what_it_held_before() -> None:
    disk = RefusingDisk()
    latch, _, records = make(disk)
    latch.hold(KILL)
    latch.hold(LOSS)

    again, gate, _ = make(disk)

    assert again.restrictions == (KILL, LOSS)
    assert (again.is_fresh, gate.state(), gate.reason()) == (False, HALTED, KILL.reason)
    assert [record["serial"] for record in records] == [1, 2]
    assert again.serial == 2


def test_latch_keeps_faults_that_went_to_the_gate_and_no_ending_of_the_session() -> None:
    disk = RefusingDisk()
    _, gate, _ = make(disk)
    gate.restrict(HALTED, "fault: ZeroDivisionError", "one")
    gate.hold(Restriction(EVERYTHING, HALTED, "stopped", "argonaut", 5, Origin.SESSION))

    _, after, _ = make(disk)

    assert (after.state("one"), after.state()) == (HALTED, ACTIVE)


def test_latch_notes_what_a_book_enforces_without_acting_on_it_before_the_next_start() -> None:
    disk = RefusingDisk()
    latch, gate, _ = make(disk)

    latch.note(LOSS)

    assert gate.state("one") is ACTIVE
    assert make(disk)[1].state("one") is REDUCING


def test_latch_that_was_held_twice_is_written_and_recorded_once() -> None:
    disk = RefusingDisk()
    latch, _, records = make(disk)

    assert [latch.hold(KILL), latch.hold(KILL), latch.hold(KILL._replace(who="other"))] == [
        True,
        False,
        False,
    ]
    assert (disk.writes, len(records)) == (1, 1)


def test_latch_acts_before_it_writes_and_writes_before_it_records() -> None:
    seen: list[Any] = []

    class Watching(RefusingDisk):
        def replace(self, path: Path, content: bytes) -> None:
            seen.append(("write", gate.state()))
            super().replace(path, content)

    disk = Watching()
    gate = TradingGate(armed=True)
    latch = TradingLatch(
        PATH, disk, gate, record=lambda *_: seen.append(("record", bool(disk.files))), now=lambda: 5
    )

    latch.hold(KILL)

    assert seen == [("write", HALTED), ("record", True)]


def test_latch_whose_disk_refuses_holds_at_once_says_so_and_is_written_later() -> None:
    disk = RefusingDisk()
    latch, gate, records = make(disk)
    disk.refusal = FULL

    latch.hold(KILL)

    assert (gate.state(), latch.is_durable) == (HALTED, False)
    assert "not durable" in latch.fault
    assert records[-1]["durable"] is False
    assert latch.retry() is False
    disk.refusal = None
    assert latch.retry() is True
    assert (latch.fault, make(disk)[0].restrictions) == ("", (KILL,))


def test_latch_killed_again_after_the_disk_came_back_becomes_durable() -> None:
    disk = RefusingDisk()
    latch, _, _ = make(disk)
    disk.refusal = FULL
    latch.hold(KILL)
    disk.refusal = None

    latch.hold(KILL)

    assert latch.is_durable
    assert make(disk)[1].state() is HALTED


@pytest.mark.parametrize("is_late", [False, True])
def test_latch_lift_that_the_disk_refuses_lifts_nothing_here_or_after_a_restart(is_late: bool) -> None:
    disk = RefusingDisk()
    latch, gate, _ = make(disk)
    latch.hold(KILL)
    if is_late:
        disk.late_refusal = FULL
    else:
        disk.refusal = FULL

    with pytest.raises(SafetyError, match="nothing was resumed"):
        latch.lift(EVERYTHING, tuple(Origin))

    disk.refusal = None
    assert (gate.state(), latch.restrictions) == (HALTED, (KILL,))
    assert make(disk)[1].state() is HALTED


def test_latch_lift_is_on_the_disk_before_trading_is_active() -> None:
    order: list[Any] = []

    class Watching(RefusingDisk):
        def replace(self, path: Path, content: bytes) -> None:
            order.append((gate.state(), len(decode(content)[1])))
            super().replace(path, content)

    gate = TradingGate(armed=True)
    latch = TradingLatch(PATH, Watching(), gate, record=lambda *_: None, now=lambda: 5)
    latch.hold(KILL)

    assert latch.lift(EVERYTHING, tuple(Origin)) == (KILL,)

    assert order[-1] == (HALTED, 0)
    assert gate.state() is ACTIVE


def test_latch_day_of_a_loss_ends_with_the_market_time_and_not_by_command() -> None:
    disk = RefusingDisk()
    make(disk)[0].note(LOSS)
    latch, gate, _ = make(disk)

    assert latch.lift(ONE, tuple(Origin)) == ()
    assert latch.expire(8) == ()
    assert gate.state("one") is REDUCING
    assert latch.expire(9) == (LOSS,)
    assert (gate.state("one"), make(disk)[0].restrictions) == (ACTIVE, ())


def test_latch_adopts_what_another_record_knows_and_keeps_the_stricter() -> None:
    disk = RefusingDisk()
    latch, gate, _ = make(disk)
    latch.hold(KILL._replace(state=REDUCING, reason="ours"))

    latch.adopt(7, [KILL, LOSS])

    assert (gate.state(), gate.reason(), gate.state("one")) == (HALTED, KILL.reason, HALTED)
    again = make(disk)[0]
    assert again.restrictions == (KILL, LOSS)
    assert again.serial > 7, "a later change of ours is later for the record, too"


def test_latch_record_that_cannot_be_taken_stands_in_nobodys_way() -> None:
    def refuse(kind: str, fields: dict[str, Any]) -> None:
        raise RuntimeError("the journal is broken")

    disk = RefusingDisk()
    gate = TradingGate(armed=True)
    latch = TradingLatch(PATH, disk, gate, record=refuse, now=lambda: 5)

    latch.hold(KILL)

    assert gate.state() is HALTED
    assert make(disk)[1].state() is HALTED


CONTENT = encode(3, [KILL, LOSS])


@pytest.mark.parametrize("content", [CONTENT, encode(1, [])], ids=["held", "empty"])
def test_latch_file_cut_off_anywhere_halts(content: bytes) -> None:
    for length in range(len(content)):
        disk = RefusingDisk()
        disk.files[PATH] = content[:length]

        latch, gate, _ = make(disk)

        assert gate.state() is HALTED, length
        assert gate.reason().startswith("latch file damaged")
        # The next start must find the halt, not the damage.
        assert decode(disk.files[PATH])[1] == latch.restrictions != ()


@pytest.mark.parametrize("content", [CONTENT, encode(1, [])], ids=["held", "empty"])
def test_latch_file_with_any_bit_flipped_halts(content: bytes) -> None:
    for position in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            disk = RefusingDisk()
            disk.files[PATH] = bytes(damaged)

            _, gate, _ = make(disk)

            assert gate.state() is HALTED, (position, bit)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"1", b'"x"', b"\xff\xfe", b"[" * 5_000, b'{"restrictions":[],"format":1}'],
    ids=range(9),
)
def test_latch_file_that_is_none_halts_and_is_kept_aside(content: bytes) -> None:
    disk = RefusingDisk()
    disk.files[PATH] = content

    _, gate, _ = make(disk)

    assert gate.state() is HALTED
    assert disk.files[PATH.with_name("latch.json.damaged")] == content


def test_latch_file_that_was_edited_to_loosen_it_halts() -> None:
    disk = RefusingDisk()
    document = json.loads(CONTENT)
    document["restrictions"] = []
    disk.files[PATH] = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    assert make(disk)[1].state() is HALTED


def test_latch_file_that_cannot_be_read_halts(tmp_path: Path) -> None:
    (tmp_path / LATCH).mkdir()

    _, gate, _ = make(LocalDisk(), tmp_path / LATCH)

    assert gate.state() is HALTED
    assert "cannot be read" in gate.reason()


def test_restriction_is_read_as_it_was_written_and_nothing_else_is() -> None:
    fields = as_fields(LOSS)

    assert from_fields(fields) == LOSS
    for name, wrong in [
        ("state", "ACTIVE?"),
        ("scope", "everything"),
        ("automatic", False),
        ("origin", None),
    ]:
        with pytest.raises(ValueError, match=r"expected|not a valid"):
            from_fields(fields | {name: wrong})
    with pytest.raises(ValueError, match="expected a restriction"):
        from_fields(fields | {"more": 1})


def test_latch_is_durable_within_the_promised_time(tmp_path: Path) -> None:
    latch, _, _ = make(LocalDisk(), tmp_path / LATCH)
    elapsed = []
    for number in range(20):
        began = time.perf_counter()
        latch.hold(KILL._replace(scope=Scope.parse(f"strategy:s{number}")))
        elapsed.append(time.perf_counter() - began)

    assert sorted(elapsed)[10] < 0.05
