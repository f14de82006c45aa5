"""No more is bought than can be paid for.

Flow: trades → **cash** → guardrails.
"""

from collections.abc import Sequence

from strategies.market import Instrument
from strategies.sizing.lots import decimal_float, lots_quantity, whole_lots
from strategies.sizing.trades import Trade


def fit_to_cash(
    trades: Sequence[Trade], spendable: float, instruments: Sequence[Instrument]
) -> tuple[Trade, ...]:
    """Cut purchases of what cannot be shorted to the cash that is there, in the order of the trades.

    What the trades of the same bar will bring in is not counted: it may come too late.

    Args:
        trades: As planned.
        spendable: Cash less what is kept back for costs and for the move until the fill, quote currency.
        instruments: In configuration order.

    Returns:
        The trades; one that becomes too small for the venue is left out.
    """
    fitted: list[Trade] = []
    for trade in trades:
        instrument = instruments[trade.index]
        if trade.quantity <= 0.0 or trade.reduces or instrument.shortable:
            fitted.append(trade)
            continue
        cost = trade.quantity * trade.price
        if cost > spendable:
            quantity = lots_quantity(
                whole_lots(max(spendable, 0.0) / trade.price, instrument.lot_size), instrument.lot_size
            )
            cost = quantity * trade.price
            minimum = max(
                decimal_float(instrument.min_quantity), decimal_float(instrument.min_notional) / trade.price
            )
            if quantity <= 0.0 or quantity < minimum:
                continue
            trade = trade._replace(quantity=quantity)  # noqa: PLW2901 - the smaller one takes its place
        spendable -= cost
        fitted.append(trade)
    return tuple(fitted)
