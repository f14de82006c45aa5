"""Every cause once, never more than a person can read, and nothing lost without a word."""

import asyncio
from collections.abc import Sequence

import pytest

from ops.alerts import Alert, AlertAnchor, AlertDesk, Outcome, Severity

HOUR_NS = 3_600_000_000_000
BASE_NS = 1_700_000_000_000_000_000


class Post:
    """Keeps what is sent, and sends it or not."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.is_up = True

    async def deliver(self, title: str, body: str) -> Sequence[Outcome]:
        self.messages.append((title, body))
        return [Outcome("tgram-1", self.is_up, "" if self.is_up else "refused")]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    def __init__(self, most_per_minute: int = 6) -> None:
        self.post, self.clock = Post(), Clock()
        self.desk = AlertDesk(
            self.post.deliver,
            sender="argonaut paper DEMO",
            quiet_secs=300.0,
            most_per_minute=most_per_minute,
            monotonic=self.clock,
        )

    def flush(self) -> None:
        asyncio.run(self.desk.flush())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def alert(key: str = "latch:all", severity: Severity = Severity.PAGE, title: str = "all is HALTED") -> Alert:
    return Alert(severity, title, "look at it", key, BASE_NS)


def test_alert_says_who_what_when_and_that_it_is_urgent(bench: Bench) -> None:
    bench.desk.take(alert())
    bench.flush()

    assert bench.post.messages == [
        ("[PAGE] argonaut paper DEMO: all is HALTED", "22:13:20 all is HALTED\nlook at it")
    ]
    assert bench.desk.outcomes == {("tgram-1", True): 1}


def test_same_cause_is_sent_once_and_how_often_it_came_is_said_with_the_next(bench: Bench) -> None:
    for at in (0.0, 1.0, 299.0, 300.0):
        bench.clock.now = at
        bench.desk.take(alert())
        bench.desk.take(alert("latch:one"))
        bench.flush()

    assert len(bench.post.messages) == 2
    assert "(2 more like it since the last one)" in bench.post.messages[1][1]


def test_what_waits_goes_together_with_the_urgent_one_first_in_the_title(bench: Bench) -> None:
    bench.desk.take(alert("a", Severity.INFO, "started"))
    bench.desk.take(alert("b", Severity.PAGE, "one is HALTED"))
    bench.flush()
    bench.flush()

    ((title, body),) = bench.post.messages
    assert title == "[PAGE] argonaut paper DEMO: one is HALTED and 1 more"
    assert body.index("started") < body.index("one is HALTED")


def test_storm_is_one_message_that_says_how_much_it_leaves_out(bench: Bench) -> None:
    for number in range(250):
        bench.desk.take(alert(str(number)))
    bench.flush()

    ((_, body),) = bench.post.messages
    assert body.endswith("and 170 more: argonaut status")
    assert bench.desk.dropped == 50


def test_messages_beyond_the_rate_wait_for_their_minute() -> None:
    bench = Bench(most_per_minute=2)
    waits: list[float] = []

    async def sleep(secs: float) -> None:
        waits.append(secs)
        bench.clock.now += secs

    async def run() -> None:
        bench.desk._sleep = sleep
        running = asyncio.create_task(bench.desk.run())
        for number, at in enumerate((0.0, 10.0, 20.0)):
            bench.clock.now = at
            bench.desk.take(alert(f"{number} a"))
            bench.desk.take(alert(f"{number} b"))
            while len(bench.post.messages) == number:
                await asyncio.sleep(0)
        running.cancel()

    asyncio.run(run())
    assert waits == [0.0, 0.0, 40.0]  # the first of the two leaves the minute at 60 s
    assert all("and 1 more" in title for title, _ in bench.post.messages)


def test_channel_that_hangs_holds_up_no_later_message() -> None:
    bench, told = Bench(), asyncio.Event()
    sent: list[str] = []

    async def deliver(title: str, _body: str) -> Sequence[Outcome]:
        sent.append(title)
        if len(sent) == 1:
            await told.wait()
        return [Outcome("tgram-1", is_sent=True, error="")]

    async def run() -> None:
        bench.desk._deliver = deliver
        running = asyncio.create_task(bench.desk.run())
        for number in range(2):
            bench.desk.take(alert(str(number)))
            while len(sent) == number:
                await asyncio.sleep(0)
        assert bench.desk.outcomes == {("tgram-1", True): 1}
        told.set()
        await bench.desk.flush()
        running.cancel()

    asyncio.run(asyncio.wait_for(run(), 30.0))
    assert bench.desk.outcomes == {("tgram-1", True): 2}


def test_sender_that_breaks_is_counted_and_the_next_message_is_tried(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    post = bench.post.deliver

    async def deliver(title: str, body: str) -> Sequence[Outcome]:
        if "first" in title:
            raise RuntimeError("it broke")
        return await post(title, body)

    bench.desk._deliver = deliver
    for title in ("first", "second"):
        bench.desk.take(alert(title, title=title))
        bench.flush()

    assert [title for title, _ in bench.post.messages] == ["[PAGE] argonaut paper DEMO: second"]
    assert bench.desk.outcomes == {("all", False): 1, ("tgram-1", True): 1}
    assert "it broke" in caplog.text


def test_delivery_that_fails_is_counted_and_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.post.is_up = False
    bench.desk.take(alert())
    bench.flush()

    assert bench.desk.outcomes == {("tgram-1", False): 1}
    assert "alert not delivered to tgram-1: refused" in caplog.text


def test_anchor_tells_the_head_at_the_start_and_then_once_in_its_hours() -> None:
    said: list[Alert] = []
    anchor = AlertAnchor(said.append, every_hours=24.0)

    for hours in (0.0, 0.1, 23.9, 24.0, 30.0, 48.1):
        anchor.publish(int(hours * 10), f"{hours:064.1f}", BASE_NS + int(hours * HOUR_NS))

    assert [one.title for one in said] == ["journal, record 0", "journal, record 240", "journal, record 481"]
    assert said[1].text == f"argonaut audit verify --anchor {24.0:064.1f}"
    assert len({one.key for one in said}) == 3
