"""Limits of the account are the account's, whichever strategy stands first."""

from pathlib import Path

import pytest

from bot.assembly import account_guard
from bot.config import load_host
from strategies.guardrails import GuardrailReason
from tests.support.bots import write_bot

HOUR = 3_600 * 10**9


@pytest.mark.parametrize("order", [("holder", "wanderer"), ("wanderer", "holder")])
def test_account_day_begins_at_the_accounts_hour(tmp_path: Path, order: tuple[str, str]) -> None:
    path = write_bot(
        tmp_path,
        tmp_path,
        order,
        more="\n[account]\ndaily_loss_quote = 100.0\nloss_readings = 1\nday_start_utc_hour = 17\n",
    )
    guard = account_guard(load_host(path))
    capital = guard.book.equity

    latched = [guard.mark(hour * HOUR, capital - 150.0, 0.0, 0.0) for hour in (10, 16, 17)]

    assert latched[0] is GuardrailReason.DAILY_LOSS
    assert guard.book.daily_loss.latched is False
