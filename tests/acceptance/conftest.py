"""Markets that the whole bot is run on."""

from tests.support.markets import long_market, market, torn_market

__all__ = ["long_market", "market", "torn_market"]
