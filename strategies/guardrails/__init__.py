"""Guardrails: the last stage that may say no, and the memory that it needs for it.

Flow: sizing → **guardrails** → orders.

Read in this order: `verdict` (what is answered) → `context` (what is looked at) → `book` (what is
remembered) → `chain` (the list) → `validity`, `permission`, `quality`, `conduct`, `exposure` (the items
of the list) → `account` (limits over all strategies).

A trade is split by the position into the part that reduces it and the part that adds risk. Limits hold
back only the part that adds: whatever is breached, a position can always be taken back. A limit is met
by *refusing* (no room) or by *cutting* to whole lots (some room); a cut that leaves less than the
smallest order is refused as ``notional_min``. A value exactly at a limit passes; a loss exactly at its
limit trips.

=================  ==================================================  ==========  ===========  ==========
reason             when                                                unit        answer       reductions
=================  ==================================================  ==========  ===========  ==========
ok                 nothing to object                                   –           –            pass
not_armed          no order may leave                                  –           refuse       **refuse**
price_bounds       price is no price (not finite, not above 0)         quote       refuse       **refuse**
..                 price outside min_price..max_price                  quote       refuse       pass
notional_min       quantity is no number or 0                          base        refuse       **refuse**
..                 below the smallest order (base units, then quote)   base/quote  refuse       [1]_
duplicate          an order of this decision was sent before           count       refuse       **refuse**
..                 orders on their way already take the position away  base        cut          **cut** [2]_
..                 risk was added to the instrument at this bar        count       refuse       pass
unreconciled       our books and the venue's differ; account numbers   –           refuse       pass
..                 position is no number                               base        refuse       **refuse**
..                 nobody can say what is held [3]_                    count       refuse       **refuse**
..                 says that it reduces, and does not                  base        cut          **cut** [2]_
halted             TradingState.HALTED, a fault, or an exception       –           refuse       pass [4]_
reducing           TradingState.REDUCING                               –           refuse       pass
..                 drawdown from the peak                              fraction    refuse       pass
daily_loss         loss since the day began; equity not above 0        quote       refuse       pass
session_loss       loss since the session began                        quote       refuse       pass
state_drawdown     drawdown within the present regime state            quote       refuse       pass
stale_data         old bar, bar from the future, book not marked at    seconds     refuse       pass
                   this bar, prices or volumes that are no numbers
confidence         policy not sure enough                              0..1        refuse       pass
spread             too wide, crossed, empty                            bps         refuse       pass
price_collar       reference or taken side too far from the close      bps         refuse       pass
cooldown           opposite trade too soon                             seconds     refuse       pass
reject_rate        too many of the last 20 orders rejected             fraction    refuse       pass
order_rate         too many orders in a minute                         count       refuse       pass
shorts_disabled    a sale beyond flat                                  base        refuse       pass
notional_max       largest order                                       quote       cut          pass
day_budget         notional of the trading day                         quote       cut          pass
participation      share of the last bar's volume                      base        cut          pass
position_limit     largest position                                    quote       cut          pass
name_cap           share of equity in one instrument                   quote       cut          pass
sector_cap         share of equity in one sector                       quote       cut          pass
exposure_gross     sum of absolute positions (strategy, then account)  quote       cut          pass
exposure_net       sum of positions in the direction of the trade      quote       cut          pass
=================  ==================================================  ==========  ===========  ==========

.. [1] Refused only where the instrument cannot be shorted: there no order is reduce-only, and the venue
   would reject it. The strategy's own ``min_notional_quote`` never holds a reduction.
.. [2] To what is really left to reduce: the rest would open a position on the other side.
.. [3] An order's outcome is unknown there, or our books and the venue's differ: what reduces by our books
   may open a position at the venue. An operator's flatten goes by what the venue says.
.. [4] An exception inside a guardrail refuses that one trade whole, and halts the book.
"""

from strategies.guardrails.account import AccountGuard, AccountLimits
from strategies.guardrails.book import RiskBook
from strategies.guardrails.chain import GuardrailChain
from strategies.guardrails.context import GuardrailContext
from strategies.guardrails.verdict import GuardrailReason, Verdict
from strategies.trading_state import TradingState

__all__ = [
    "AccountGuard",
    "AccountLimits",
    "GuardrailChain",
    "GuardrailContext",
    "GuardrailReason",
    "RiskBook",
    "TradingState",
    "Verdict",
]
