"""Hosts with strategies that trade often, on the generated market."""

from collections.abc import Sequence
from pathlib import Path

HOST = """\
kind = "{kind}"
strategies = [{strategies}]

[venue]
name = "DEMO"
starting_balance = 300_000.0

[costs]
borrow_annual_frac = 0.0

[api]
port = 0

[jobs]
kill_drill = "off"

[data]
catalog = "{catalog}"
{span}
"""

PATIENT_DISK = """
[journal]
opening_deadline_ms = 30_000.0
reducing_deadline_ms = 30_000.0
segment_mib = 1
"""
"""At full speed many bars pass while a busy machine's disk takes one record; no order is late for that."""

_LIMITS = """
[allocation]
max_step_change = 2.0

[guardrails]
min_confidence = 0.0
daily_loss_quote = 20_000.0
state_drawdown_quote = 20_000.0
max_daily_notional_quote = 100_000_000.0
max_notional_quote = 60_000.0
max_gross_quote = 100_000.0
"""

_FEATURES = """
[features]
lookback = 16
[[features.columns]]
kind = "log_return"
params = { period = 1 }
[[features.columns]]
kind = "donchian"
params = { lookback = 20 }
[[features.columns]]
kind = "atr"
params = { period = 14 }
"""

BREAKOUT = f"""\
name = "breakout"
instruments = ["ALPHAUSDT.DEMO", "BETAUSDT.DEMO"]
capital_quote = 100_000.0
{_FEATURES}
[regime]
columns = ["log_return_1"]
instrument_id = "ALPHAUSDT.DEMO"
initial_probs = [0.56, 0.38, 0.06]
transition_matrix = [[0.999, 0.0008, 0.0002], [0.001, 0.9985, 0.0005], [0.003, 0.002, 0.995]]
means = [[0.0], [1.0e-5], [-6.0e-5]]
variances = [[6.25e-8], [2.5e-7], [1.44e-6]]
[policy]
kind = "donchian"
lookback = 20
time_stop_bars = 12
blocked_states = [2]
{_LIMITS}"""
"""Brackets at the venue, and a regime that forbids some entries."""

WANDERER = f"""\
name = "wanderer"
instruments = ["ALPHAUSDT.DEMO", "BETAUSDT.DEMO"]
capital_quote = 100_000.0
{_FEATURES}
[policy]
kind = "random"
seed = 5
rebalance_bars = 15
{_LIMITS}"""
"""Trades at the market four times an hour, both instruments."""

HOLDER = f"""\
name = "holder"
instruments = ["BETAUSDT.DEMO"]
capital_quote = 50_000.0
{_FEATURES}
[policy]
kind = "buy_and_hold"
{_LIMITS}"""
"""Buys one instrument and keeps it."""

ALL = {"breakout": BREAKOUT, "wanderer": WANDERER, "holder": HOLDER}


def write_bot(
    directory: Path,
    catalog: Path,
    strategies: Sequence[str] = ("breakout",),
    *,
    kind: str = "backtest",
    end: str | None = None,
    more: str = "",
) -> Path:
    """Write a host and its strategy files.

    Args:
        directory: Where they go; made if absent.
        catalog: Where the bars lie.
        strategies: Some of `ALL`, in the order in which they are called.
        kind: ``backtest`` or ``paper``.
        end: Last close; None for all bars.
        more: TOML after the host's own.

    Returns:
        Path of the host file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in strategies:
        (directory / f"{name}.toml").write_text(ALL[name])
    names = ", ".join(f'"{name}.toml"' for name in strategies)
    span = "" if end is None else f'end = "{end}"'
    path = directory / f"{kind}.toml"
    patient = PATIENT_DISK if kind == "paper" else ""
    if kind == "paper" and "session_files" not in more:  # a process more at each end
        quiet = "[daemon]\nsession_files = false\n"
        more = more.replace("[daemon]\n", quiet) if "[daemon]" in more else f"\n{quiet}{more}"
    path.write_text(HOST.format(kind=kind, strategies=names, catalog=catalog, span=span) + patient + more)
    return path
