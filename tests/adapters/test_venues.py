import pytest

from adapters.venues import DEAD_MAN_SWITCHES, SwitchReach, dead_man_switch


def test_dead_man_switch_of_a_venue_that_has_none_or_is_unknown_promises_nothing() -> None:
    assert dead_man_switch("BINANCE") is None
    assert dead_man_switch("DEMO") is None


def test_dead_man_switch_reaches_a_symbol_or_the_account() -> None:
    futures, kraken = dead_man_switch("BINANCE_FUTURES"), dead_man_switch("KRAKEN")

    assert futures is not None
    assert futures.reach is SwitchReach.SYMBOL
    assert kraken is not None
    assert (kraken.reach, kraken.is_one_shot) == (SwitchReach.ACCOUNT, True)


@pytest.mark.parametrize("name", [name for name, one in DEAD_MAN_SWITCHES.items() if one is not None])
def test_dead_man_switch_timeout_is_what_the_venue_takes(name: str) -> None:
    switch = dead_man_switch(name)
    assert switch is not None

    assert switch.timeout_secs(0.1) == switch.min_timeout_secs
    assert switch.timeout_secs(1e9) == switch.max_timeout_secs
    assert 0.0 < switch.min_timeout_secs <= switch.max_timeout_secs
