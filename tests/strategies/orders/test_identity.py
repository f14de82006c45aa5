"""Ids of orders: pure, distinct, safe at venues, and the same in every process."""

import re
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.orders import Identity, OrderRole, client_order_id, decision_id

_IDENTITY = Identity(strategy="donchian", policy_id="a" * 64, config_sha256="b" * 64)
_TS = 1_700_000_000_000_000_000
# sha256sum over "argonaut.decision.1", then each text after its length as four little-endian bytes,
# then the time as eight; worked out with printf and sha256sum in a shell.
_KNOWN = "bf8baca33e587553c131e1e5b401d397f120fc91797e1ebb251ffdb251a61d9c"


def _id(identity: Identity = _IDENTITY) -> str:
    return decision_id(identity, "BTCUSDT.BINANCE", _TS, OrderRole.OPEN)


def test_decision_id_is_the_documented_hash() -> None:
    assert _id() == _KNOWN


def test_decision_id_is_the_same_in_another_process() -> None:
    program = (
        "from strategies.orders import *;"
        f"print(decision_id({_IDENTITY!r}, 'BTCUSDT.BINANCE', {_TS}, OrderRole.OPEN))"
    )

    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert other.stdout.strip() == _id()


def test_decision_id_differs_with_every_field() -> None:
    ids = {
        decision_id(identity, instrument_id, ts_event, role)
        for identity, instrument_id, ts_event, role in product(
            (
                _IDENTITY,
                replace(_IDENTITY, strategy="other"),
                replace(_IDENTITY, policy_id="c" * 64),
                replace(_IDENTITY, config_sha256="c" * 64),
            ),
            ("BTCUSDT.BINANCE", "ETHUSDT.BINANCE"),
            (_TS, _TS + 1),
            set(OrderRole) - {OrderRole.CLOSE},
        )
    }

    assert len(ids) == 4 * 2 * 2 * (len(OrderRole) - 1)


def test_decision_id_of_a_cut_close_is_that_of_the_close() -> None:
    closing = decision_id(_IDENTITY, "BTCUSDT.BINANCE", _TS, OrderRole.CLOSE)

    assert closing == decision_id(_IDENTITY, "BTCUSDT.BINANCE", _TS, OrderRole.REDUCE)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (Identity("ab", "c", "d"), Identity("a", "bc", "d")),
        (Identity("a", "b", "cd"), Identity("a", "bc", "d")),
        (Identity("a", "", "b"), Identity("a", "b", "")),
    ],
)
def test_decision_id_keeps_neighbouring_fields_apart(left: Identity, right: Identity) -> None:
    assert _id(left) != _id(right)


@given(strategy=st.text(max_size=50), ts_event=st.integers(-(2**63), 2**63 - 1))
def test_client_order_id_is_safe_at_every_venue(strategy: str, ts_event: int) -> None:
    identity = Identity(strategy, "p", "c")
    decision = decision_id(identity, "ÄÖ/USD.X", ts_event, OrderRole.TARGET)

    own_id = client_order_id(decision)

    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,35}", own_id)
    assert own_id == client_order_id(decision)
    # 120 of the decision's 256 bits.
    assert own_id == f"AR{decision[:30]}"
