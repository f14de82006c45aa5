"""Fresh strategies become what a journal remembers; and which of them take over what is beside ours."""

from bot.assembly import Wired
from ops.adoption import Adopter
from ops.recall import Recall, restore


def adopter(wired: Wired, name: str, instrument_id: str) -> Adopter:
    """A strategy that runs, as one that takes over an instrument of its own."""
    strategy = next(one for one in wired.strategies if one.name == name)
    pipeline = strategy.pipeline
    index = [one.instrument_id for one in pipeline.instruments].index(instrument_id)
    ledger, rules = pipeline.stages.ledger, pipeline.instruments[index]
    return Adopter(pipeline.identity, strategy.door, ledger, index, rules)


def restore_strategies(wired: Wired, recall: Recall, resume_ns: int) -> None:
    """Make fresh strategies, and what they share, what a journal remembers.

    Args:
        resume_ns: Market time at the venue, UTC nanoseconds; nothing is decided on bars up to it.

    Raises:
        SafetyError: If what was written down is damaged; nothing may trade.
    """
    for strategy in wired.strategies:
        memory = recall.strategies.get(strategy.name)
        if memory is not None:
            restore(strategy, memory)
        strategy.decide_only_after(resume_ns)
    if recall.account is not None:
        wired.account.restore(dict(recall.account["account"]))
        wired.borrow.restore(recall.account["borrow"])
    if recall.ended_in_order:  # a person starts anew; what follows a crash is still the session before it
        for book in (wired.account.book, *(one.pipeline.stages.book for one in wired.strategies)):
            book.begin_session()
