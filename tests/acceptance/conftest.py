"""Markets that the whole bot is run on."""

from tests.support.markets import market as market, torn_market as torn_market
