"""Ids of orders: pure, distinct, safe at venues, and the same in every process."""

import re
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.orders import Identity, OrderKind, OrderRole, client_order_id, decision_id

_IDENTITY = Identity(strategy="donchian", policy_id="a" * 64, config_sha256="b" * 64)
_TS = 1_700_000_000_000_000_000
# sha256sum over "argonaut.decision.1", then each text after its length as four little-endian bytes,
# then the time as eight; worked out with printf and sha256sum in a shell.
_KNOWN = "44f17a53b3bdb91b9891cd16a081eeaca4780efc502dd50fd09cbea5f03befab"


def _id(identity: Identity = _IDENTITY) -> str:
    return decision_id(identity, "BTCUSDT.BINANCE", _TS, OrderKind.MARKET, OrderRole.OPEN)


def test_decision_id_is_the_documented_hash() -> None:
    assert _id() == _KNOWN


def test_decision_id_is_the_same_in_another_process() -> None:
    program = (
        "from strategies.orders import *;"
        f"print(decision_id({_IDENTITY!r}, 'BTCUSDT.BINANCE', {_TS}, OrderKind.MARKET, OrderRole.OPEN))"
    )

    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert other.stdout.strip() == _id()


def test_decision_id_differs_with_every_field() -> None:
    ids = {
        decision_id(identity, instrument_id, ts_event, kind, role)
        for identity, instrument_id, ts_event, kind, role in product(
            (
                _IDENTITY,
                replace(_IDENTITY, strategy="other"),
                replace(_IDENTITY, policy_id="c" * 64),
                replace(_IDENTITY, config_sha256="c" * 64),
            ),
            ("BTCUSDT.BINANCE", "ETHUSDT.BINANCE"),
            (_TS, _TS + 1),
            OrderKind,
            OrderRole,
        )
    }

    assert len(ids) == 4 * 2 * 2 * len(OrderKind) * len(OrderRole)


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
    decision = decision_id(identity, "ÄÖ/USD.X", ts_event, OrderKind.LIMIT, OrderRole.TARGET)

    own_id = client_order_id(decision)

    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,35}", own_id)
    assert own_id == client_order_id(decision)
    # 120 of the decision's 256 bits.
    assert own_id == f"AR{decision[:30]}"
