"""Commands on fake strategies; everything that an operator, a signal or a limit may do ends here."""

import asyncio
import errno
from collections.abc import Callable

import pytest

from ops.kill_mode import KillMode
from ops.latch import decode
from ops.refusals import RefusedError
from strategies.errors import SafetyError
from strategies.guardrails import TradingState
from strategies.restrictions import EVERYTHING, Origin, Restriction, Scope
from tests.support.control_room import PATH, SECOND, ControlRoom

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
ONE, TWO = Scope.parse("strategy:one"), Scope.parse("strategy:two")
B_X = Scope.parse("instrument:B.X")
FULL = OSError(errno.ENOSPC, "No space left on device")
BY = {"who": "test", "reason": "why"}


@pytest.fixture
def room() -> ControlRoom:
    return ControlRoom()


def kill(room: ControlRoom, scope: Scope = EVERYTHING, mode: KillMode = KillMode.HALT) -> dict[str, object]:
    return room.commands.kill(scope, mode, **BY)


def automatic(scope: Scope, cause: str, room: ControlRoom, state: TradingState = REDUCING) -> Restriction:
    return Restriction(scope, state, f"{cause}: x", cause, room.now_ns, Origin.AUTOMATIC)


def test_kill_is_durable_before_the_first_cancel_leaves(room: ControlRoom) -> None:
    room.desks["one"].entries = {"A.X"}
    room.desks["two"].entries = {"C.Y"}

    answer = kill(room)

    assert room.log == ["record latch", "cancel one A.X", "cancel two C.Y", "record control"]
    assert decode(room.disk.files[PATH])[1][0].state is HALTED
    assert (answer["durable"], answer["changed"], answer["cancels_sent"]) == (True, True, 2)
    assert room.gate.state() is HALTED


@pytest.mark.parametrize(
    ("mode", "state"),
    [(KillMode.HALT, HALTED), (KillMode.REDUCE_ONLY, REDUCING)],
)
def test_kill_mode_says_which_state(room: ControlRoom, mode: KillMode, state: TradingState) -> None:
    kill(room, mode=mode)

    assert room.gate.state() is state


def test_kill_twice_is_the_same_as_once_and_never_turns_trading_on(room: ControlRoom) -> None:
    kill(room)
    again = kill(room)

    assert (again["changed"], room.gate.state(), room.disk.writes) == (False, HALTED, 1)
    kill(room, mode=KillMode.REDUCE_ONLY)
    assert room.gate.state() is HALTED


def test_kill_of_a_scope_cancels_there_and_nowhere_else(room: ControlRoom) -> None:
    room.desks["one"].entries = {"A.X", "B.X"}
    room.desks["two"].entries = {"B.X", "C.Y"}

    kill(room, B_X)

    assert (room.desks["one"].entries, room.desks["two"].entries) == ({"A.X"}, {"C.Y"})
    assert room.gate.state("one", "B.X") is HALTED
    assert room.gate.state("one", "A.X") is ACTIVE


@pytest.mark.parametrize("text", ["strategy:three", "instrument:B.Y", "venue:Z"])
def test_kill_of_something_that_is_not_there_is_refused_with_what_is(room: ControlRoom, text: str) -> None:
    with pytest.raises(RefusedError, match=r"expected the \w+ to be one of \[.+\], found") as refusal:
        kill(room, Scope.parse(text))

    assert refusal.value.is_unknown
    assert room.gate.restrictions == ()


def test_kill_with_a_full_disk_holds_at_once_and_says_that_it_is_not_durable(room: ControlRoom) -> None:
    room.disk.refusal = FULL
    room.desks["one"].entries = {"A.X"}

    answer = kill(room)

    assert (answer["durable"], answer["cancels_sent"], room.gate.state()) == (False, 1, HALTED)
    assert "No space left" in str(answer["detail"])


def test_kill_goes_on_with_the_others_when_one_strategy_cannot_cancel(room: ControlRoom) -> None:
    room.desks["one"].breaks = True
    room.desks["two"].entries = {"C.Y"}

    answer = kill(room)

    assert (answer["cancels_sent"], room.desks["two"].entries, room.gate.state()) == (1, set(), HALTED)


def test_kill_survives_the_process(room: ControlRoom) -> None:
    kill(room, ONE)

    room.restart()

    assert (room.gate.state("one"), room.gate.state("two")) == (HALTED, ACTIVE)


def flattened(room: ControlRoom, during: Callable[[], object] = lambda: None) -> str:
    async def run() -> str:
        kill(room, mode=KillMode.FLATTEN)
        await asyncio.sleep(0)
        during()
        while room.commands.flattening.is_working:
            await asyncio.sleep(0)
        return room.commands.flattening.state

    return asyncio.run(run())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.flattening._POLL_SECS", 0.0)


@pytest.mark.usefixtures("quick")
def test_flatten_asks_until_everything_is_closed(room: ControlRoom) -> None:
    room.desks["one"].held = {"A.X": 3}
    room.desks["two"].held = {"B.X": 1}

    assert flattened(room) == "FLAT"

    assert room.log.count("flatten one A.X B.X") == 3
    assert room.log.count("flatten two B.X C.Y") == 1
    assert room.records[-1][1]["command"] == "flatten"
    assert room.gate.state() is HALTED


@pytest.mark.usefixtures("quick")
def test_flatten_that_takes_too_long_is_given_up_reported_and_named(
    room: ControlRoom, caplog: pytest.LogCaptureFixture
) -> None:
    room.desks["one"].held = {"A.X": 1_000_000}

    assert flattened(room) == "NOT_FLAT"

    assert "one A.X" in room.commands.flattening.detail
    assert [record.levelname for record in caplog.records if "not flat" in record.message] == ["CRITICAL"]
    assert room.records[-1][1]["answer"]["state"] == "NOT_FLAT"


@pytest.mark.usefixtures("quick")
def test_flatten_goes_on_when_a_halt_arrives_in_the_middle_of_it(room: ControlRoom) -> None:
    room.desks["one"].held = {"A.X": 5}

    assert flattened(room, during=lambda: kill(room)) == "FLAT"

    assert room.desks["one"].held == {"A.X": 0}
    assert room.gate.state() is HALTED


@pytest.mark.usefixtures("quick")
def test_flatten_after_a_halt_closes_positions_too(room: ControlRoom) -> None:
    room.desks["one"].held = {"A.X": 2}
    kill(room)

    assert flattened(room) == "FLAT"
    assert room.desks["one"].held == {"A.X": 0}


@pytest.mark.usefixtures("quick")
def test_flatten_refuses_a_resume_until_it_is_done(room: ControlRoom) -> None:
    room.desks["one"].held = {"A.X": 5}

    def early() -> None:
        with pytest.raises(RefusedError, match="being flattened"):
            room.commands.resume(EVERYTHING, **BY)

    assert flattened(room, early) == "FLAT"
    room.commands.resume(EVERYTHING, **BY)
    assert room.gate.state() is ACTIVE


@pytest.mark.usefixtures("quick")
def test_flatten_ordered_before_the_strategies_run_begins_with_them(room: ControlRoom) -> None:
    room.restart(attached=False)
    room.desks["one"].held = {"A.X": 2}

    async def run() -> str:
        kill(room, mode=KillMode.FLATTEN)
        room.attach()
        while room.commands.flattening.is_working:
            await asyncio.sleep(0)
        return room.commands.flattening.state

    assert asyncio.run(run()) == "FLAT"
    assert room.desks["one"].held == {"A.X": 0}


@pytest.mark.usefixtures("quick")
def test_flatten_of_one_instrument_leaves_the_rest(room: ControlRoom) -> None:
    room.desks["one"].held = {"A.X": 1, "B.X": 1}

    async def run() -> str:
        kill(room, B_X, KillMode.FLATTEN)
        while room.commands.flattening.is_working:
            await asyncio.sleep(0)
        return room.commands.flattening.state

    assert asyncio.run(run()) == "FLAT"
    assert room.desks["one"].held == {"A.X": 1, "B.X": 0}


def test_resume_lifts_the_scope_that_is_named_and_no_other(room: ControlRoom) -> None:
    kill(room)
    kill(room, ONE)

    answer = room.commands.resume(EVERYTHING, **BY)

    assert (room.gate.state("one"), room.gate.state("two")) == (HALTED, ACTIVE)
    assert answer["remaining"] == ["strategy:one: why"]
    room.restart()
    assert (room.gate.state("one"), room.gate.state("two")) == (HALTED, ACTIVE)


def test_resume_of_what_is_not_held_changes_nothing(room: ControlRoom) -> None:
    kill(room, ONE)

    assert room.commands.resume(TWO, **BY)["lifted"] == []
    assert room.gate.state("one") is HALTED


def test_resume_after_an_automatic_restriction_has_to_wait_and_is_told_how_long(room: ControlRoom) -> None:
    room.commands.impose(automatic(ONE, "reject_rate", room))
    room.now_ns += 100 * SECOND

    with pytest.raises(RefusedError, match="another 200 s") as refusal:
        room.commands.resume(ONE, **BY)

    assert refusal.value.retry_after_secs == pytest.approx(200.0)
    assert (room.gate.state("one"), room.records[-1][0]) == (REDUCING, "control")
    room.now_ns += 200 * SECOND
    room.commands.resume(ONE, **BY)
    assert room.gate.state("one") is ACTIVE


def test_resume_waits_for_the_youngest_cause_also_behind_a_kill_and_after_a_restart(
    room: ControlRoom,
) -> None:
    room.commands.impose(automatic(ONE, "reject_rate", room))
    room.now_ns += 250 * SECOND
    room.commands.impose(automatic(ONE, "order_rate", room))
    kill(room, ONE)
    room.now_ns += 100 * SECOND
    room.restart()

    with pytest.raises(RefusedError, match=r"order_rate.*another 200 s"):
        room.commands.resume(ONE, **BY)


def test_resume_while_the_kill_switch_file_is_there_is_refused(room: ControlRoom) -> None:
    kill(room)
    room.switched_off = True

    with pytest.raises(RefusedError, match="KILL_SWITCH"):
        room.commands.resume(EVERYTHING, **BY)
    assert room.gate.state() is HALTED


def test_resume_of_a_strategy_releases_its_own_loss_latches_and_one_of_all_does_not(
    room: ControlRoom,
) -> None:
    room.commands.resume(EVERYTHING, **BY)
    assert (room.desks["one"].released, room.desks["two"].released) == (0, 0)
    room.desks["one"].latched = ("daily_loss",)

    answer = room.commands.resume(ONE, **BY)

    assert (room.desks["one"].released, room.desks["two"].released) == (1, 0)
    assert answer["remaining"] == ["strategy:one: daily_loss, until the trading day ends"]


def test_resume_of_a_strategy_that_failed_in_this_process_is_refused(room: ControlRoom) -> None:
    room.gate.restrict(HALTED, "fault: x", "one")
    room.desks["one"].fault = "ZeroDivisionError: x"
    room.now_ns += 1_000 * SECOND

    with pytest.raises(RefusedError, match="stop the daemon, resume, and start it"):
        room.commands.resume(ONE, **BY)


def test_resume_that_the_disk_refuses_releases_nothing(room: ControlRoom) -> None:
    kill(room, ONE)
    room.disk.refusal = FULL

    with pytest.raises(SafetyError, match="nothing was resumed"):
        room.commands.resume(ONE, **BY)

    assert (room.gate.state("one"), room.desks["one"].released) == (HALTED, 0)


def test_pause_and_kill_are_lifted_by_their_own_commands_only(room: ControlRoom) -> None:
    room.desks["one"].entries = {"A.X"}
    room.commands.pause("one", **BY)
    assert (room.gate.state("one"), room.desks["one"].entries) == (REDUCING, set())

    room.commands.resume(ONE, **BY)
    assert room.gate.state("one") is REDUCING

    kill(room, ONE)
    assert room.commands.unpause("one", **BY)["changed"] is True
    assert room.gate.state("one") is HALTED

    room.commands.resume(ONE, **BY)
    assert room.gate.state("one") is ACTIVE
    assert room.commands.unpause("one", **BY)["changed"] is False


def test_pause_survives_the_process(room: ControlRoom) -> None:
    room.commands.pause("two", **BY)
    room.restart()

    assert (room.gate.state("two"), room.gate.state("one")) == (REDUCING, ACTIVE)


def test_impose_halts_at_once_and_cancels_once_the_present_callback_is_done(room: ControlRoom) -> None:
    room.desks["one"].entries = {"A.X"}

    room.commands.impose(automatic(ONE, "order_rate", room, HALTED))

    assert (room.gate.state("one"), room.desks["one"].entries) == (HALTED, {"A.X"})
    for call in room.later:
        call()
    assert room.desks["one"].entries == set()


def test_every_command_is_recorded_also_a_refused_one(room: ControlRoom) -> None:
    kill(room)
    room.switched_off = True
    with pytest.raises(RefusedError):
        room.commands.resume(EVERYTHING, **BY)

    controls = [fields for kind, fields in room.records if kind == "control"]
    assert [(one["command"], one["who"], one["reason"]) for one in controls] == [
        ("kill", "test", "why"),
        ("resume", "test", "why"),
    ]
    assert "refused" in controls[1]["answer"]
