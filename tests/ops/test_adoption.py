"""A position that the account held becomes a strategy's: at the venue's price, once, and over a crash."""

import pytest

from ops.adoption import Adopter, adopt_each, complete_adoptions
from ops.journal import Kind, Record
from ops.recall import Recall
from ops.reconciliation import NOTHING_ELSE, Holdings
from strategies.orders import OrderIntent
from tests.support.journals import open_journal
from tests.support.memory_disk import MemoryDisk
from tests.support.recovery import ALPHA, CAPITAL, START, Bench, likeness, recalled, rules

HELD = Holdings({ALPHA: 40.0005}, 7_000.0)
ENTRY = 100.25


class Case:
    """A strategy that is flat, and an account that holds 40.0005 beside it."""

    def __init__(self) -> None:
        self.bench = Bench(MemoryDisk())
        self.notes: list[str] = []
        self.adopted: list[OrderIntent] = []

    def adopter(self) -> Adopter:
        pipeline = self.bench.strategy.pipeline
        return Adopter(pipeline.identity, self.bench.strategy.door, pipeline.stages.ledger, 0, rules(ALPHA))

    def adopt(
        self, baseline: Holdings = HELD, price: float | None = ENTRY, *, is_cash: bool = True
    ) -> Holdings:
        return adopt_each(
            {ALPHA: self.adopter()},
            baseline,
            lambda _: price,
            START,
            is_cash=is_cash,
            write=self.write,
            note=self.notes.append,
        )

    def write(self, adopted: OrderIntent, baseline: Holdings) -> None:
        self.adopted.append(adopted)
        body = {"strategy": "one", "intents": [adopted._asdict()], "baseline": baseline.as_json()}
        self.bench.journal.append(Kind.INTENT, body, START)


@pytest.fixture
def case() -> Case:
    return Case()


def test_adopted_position_is_in_the_books_at_its_price_of_entry_and_the_account_is_as_it_was(
    case: Case,
) -> None:
    left = case.adopt()

    ledger = case.bench.strategy.pipeline.stages.ledger
    assert ledger.positions[0] == 40.0
    assert ledger.average_prices[0] == ENTRY
    assert ledger.cash == CAPITAL - 40 * 100.25
    # Whole lots only; of the 4,010 paid inside the account nothing has left it.
    assert left.positions[ALPHA] == pytest.approx(0.0005)
    assert left.cash == 7_000.0 + 4_010.0
    assert "one adopted 40.0005 ALPHAUSDT.DEMO, entered at 100.25" in case.notes[0]
    assert not case.bench.strategy.door.working()
    assert case.bench.courier.sent == []


def test_short_position_on_margin_is_adopted_without_a_payment_inside_the_account(case: Case) -> None:
    left = case.adopt(Holdings({ALPHA: -3.0}, 50.0), is_cash=False)

    assert case.bench.strategy.pipeline.stages.ledger.positions[0] == -3.0
    assert left.as_json() == {"positions": {}, "cash": 50.0}


def test_adoption_counts_for_no_limit_and_starts_no_cooldown(case: Case) -> None:
    book = case.bench.strategy.pipeline.stages.book
    before = book.snapshot()
    case.adopt()

    after = book.snapshot()
    for counted in ("daily_notional", "order_times", "last_trade_ts", "seen"):
        assert after[counted] == before[counted], counted


@pytest.mark.parametrize(
    ("baseline", "price", "why"),
    [
        (HELD, None, "the venue does not say at which price it was entered"),
        (Holdings({ALPHA: 0.0009}, 0.0), ENTRY, "less than the smallest order, 0.001"),
        (Holdings({ALPHA: 100.0}, 0.0), ENTRY, "can pay 10,025.00, found one with 10,000.00"),
    ],
)
def test_what_cannot_be_adopted_stays_beside_ours_and_says_why(
    case: Case, baseline: Holdings, price: float | None, why: str
) -> None:
    left = case.adopt(baseline, price)

    assert left is baseline
    assert case.adopted == []
    assert why in case.notes[0]


def test_strategy_that_holds_something_there_adopts_nothing_on_top(case: Case) -> None:
    case.adopt()
    case.adopt()

    assert len(case.adopted) == 1
    assert "found one that holds 40; flatten it first" in case.notes[-1]
    assert case.bench.strategy.pipeline.stages.ledger.positions[0] == 40.0


def test_nothing_beside_ours_is_nothing_to_adopt(case: Case) -> None:
    assert case.adopt(NOTHING_ELSE) is NOTHING_ELSE
    assert case.notes == []


def test_crash_after_any_record_of_an_adoption_leaves_it_whole(case: Case) -> None:
    case.adopt()
    case.bench.journal.close(START + 1)
    records: list[Record] = []
    open_journal(case.bench.disk, replay=records.append)
    first = next(n for n, one in enumerate(records) if one.kind is Kind.INTENT)
    whole = likeness(case.bench.strategy)

    assert [one.kind for one in records[first : first + 3]] == [Kind.INTENT, Kind.FILL, Kind.OUTCOME]
    for count in range(first + 1, len(records) + 1):
        recall = Recall()
        for record in records[:count]:
            recall.take(record)
        strategy = recalled(records[:count])
        with strategy.door.silenced():
            complete_adoptions([strategy.door])
        assert recall.baseline == {"positions": {ALPHA: pytest.approx(0.0005)}, "cash": 11_010.0}
        assert (likeness(strategy).ledger, likeness(strategy).booked) == (whole.ledger, whole.booked)
        assert not strategy.door.working()
