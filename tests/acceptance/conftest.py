"""Markets that the whole bot is run on."""

from tests.support.markets import market, torn_market

__all__ = ["market", "torn_market"]
