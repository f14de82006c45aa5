"""SMA 20/100 cross over a year of minutes: ours, and beside it what others take.

Ours is measured twice: through the whole decision path with every guardrail, and as a plain strategy on the
same engine. The others are installed, where a package index can be reached, into a throwaway environment;
they are no dependency of this project.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from adapters.catalog import Catalog
from benchmarks.bare_engine import PlainConfig, SmaCross, bar_types, play
from benchmarks.competitors.throwaway import LIMIT_SECS, environment_with
from benchmarks.figures import QUICK, ROOT, Figure, in_fresh_process, report
from benchmarks.scenario import INSTRUMENTS, write_catalog

DAYS = 15 if QUICK else 365
OTHERS = {
    # name: (packages, script, target beside it, whether we should be the faster)
    "backtrader": (("backtrader", "pandas"), "backtrader_sma.py", 5.0, True),
    "freqtrade": (("freqtrade",), "freqtrade_sma.py", 5.0, True),
    "backtesting.py": (("backtesting",), "backtesting_sma.py", 2.5, False),
}

_STRATEGY = f"""
name = "sma"
instruments = ["{INSTRUMENTS[0]}"]
capital_quote = 10_000_000.0
features.lookback = 1
features.columns = [
  {{ kind = "sma", params = {{ period = 20 }} }},
  {{ kind = "sma", params = {{ period = 100 }} }},
]
policy.kind = "flat"

[allocation]
max_step_change = 2.0
rebalance_eps = 0.0

[guardrails]
min_confidence = 0.0
allow_short = true
state_drawdown_quote = 1e8
daily_loss_quote = 1e8
max_daily_notional_quote = 1e12
max_notional_quote = 1e8
max_gross_quote = 1e8
max_participation_frac = 1.0
"""


def measure() -> list[Figure]:
    """Time ours, then each of the others, over the same bars."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_catalog(directory / "catalog", DAYS)
        ours = in_fresh_process(__spec__.name, "ours", name)
        plain = in_fresh_process(__spec__.name, "plain", name)
        others = {other: measure_other(other, directory) for other in OTHERS}
    how = f"{ours['bars']:,} one-minute bars, one symbol, processor time, catalog reading included"
    figures = [
        Figure(f"SMA cross, {label}", run["cpu_secs"], "s", f"{how}; {run['trades']:,} flips")
        for label, run in (("decision path and guardrails", ours), ("plain strategy on the engine", plain))
    ]
    for other, run in others.items():
        _, _, target, is_faster = OTHERS[other]
        if isinstance(run, str):
            figures.append(Figure(f"SMA cross, beside {other}", None, "s", f"not measured: {run}"))
            continue
        # The target is for like with like: the others know no guardrails, sizing, records or shared account.
        for label, mine, wanted in (("plain strategy", plain, target), ("decision path", ours, None)):
            figures.append(
                Figure(
                    f"SMA cross, {label} beside {other}",
                    mine["cpu_secs"],
                    "s",
                    f"the same bars in {other} {run['version']}; {run['trades']:,} flips",
                    wanted,
                    run["cpu_secs"],
                    other,
                    is_faster,
                )
            )
    return figures


def measure_other(other: str, directory: Path) -> dict[str, Any] | str:
    """Install one of the others and run its script; a sentence where that cannot be done."""
    if QUICK:
        return "left out of a quick run"
    packages, script, _, _ = OTHERS[other]
    path = ROOT / "benchmarks" / "competitors" / script
    bars = directory / "bars.npz"
    if not bars.exists():
        arrays = Catalog(directory / "catalog").read_arrays(bar_types(INSTRUMENTS)[0])
        np.savez(bars, **asdict(arrays))
    try:
        python = environment_with(directory / packages[0], packages)
        command = [str(python), str(path), str(bars)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECS)
        run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"installing or running it takes more than {LIMIT_SECS} s"
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines() or ["no message"]
        return f"`{Path(error.cmd[0]).name}` failed: {lines[-1][:160]}"
    return run


def run_plain(directory: Path) -> dict[str, Any]:
    """The rule, written straight on the engine."""
    strategy = SmaCross(PlainConfig(INSTRUMENTS[:1]))
    _, spent = play(directory / "catalog", INSTRUMENTS[:1], lambda engine: engine.add_strategy(strategy))
    return asdict(spent) | {"trades": strategy.trades}


def run_ours(directory: Path) -> dict[str, Any]:
    """The rule as a policy: bars → features → observation → policy → sizing → guardrails → orders."""
    from adapters.instruments import find_spec
    from bot.assembly import build_pipeline, trading_rules
    from bot.config.loading import load_strategy
    from strategies.decision import DecisionPipeline
    from strategies.gate import TradingGate
    from strategies.hub import PanelHub, PanelHubConfig
    from strategies.strategy import PolicyStrategy, PolicyStrategyConfig
    from strategies.tape import MemoryTape

    path = directory / "sma.toml"
    path.write_text(_STRATEGY)
    loaded = load_strategy(path)
    rules = [replace(trading_rules(find_spec(INSTRUMENTS[0]), may_short=True), shortable=True)]
    built = build_pipeline(loaded, rules, 525_600.0)
    policy = CrossPolicy()
    pipeline = DecisionPipeline(loaded.config, rules, replace(built.stages, policy=policy), built.identity)
    strategy = PolicyStrategy(
        PolicyStrategyConfig(
            pipeline=pipeline,
            bar_types=tuple(bar_types(INSTRUMENTS[:1])),
            gate=TradingGate(armed=True),
            tape=MemoryTape(),
        )
    )
    hub = PanelHub(PanelHubConfig(listeners=(strategy,), timeout_secs=0.0))

    def equip(engine: Any) -> None:
        engine.add_actor(hub)
        engine.add_strategy(strategy)

    _, spent = play(directory / "catalog", INSTRUMENTS[:1], equip)
    if strategy.failure is not None:
        raise RuntimeError("the strategy halted, so the figure would lie") from strategy.failure
    return asdict(spent) | {"trades": policy.flips}


class CrossPolicy:
    """Long half of the equity while the fast average is above the slow one, else short; holds between."""

    name = "sma_cross"
    required_columns: tuple[str, ...] = ("sma_20", "sma_100")
    policy_id = "sma_cross"

    def __init__(self) -> None:
        from strategies.policies.protocol import Action

        self._hold = Action.hold(1)
        self._long, self._short = Action((0.5,)), Action((-0.5,))
        self._side = 0
        self.flips = 0

    def act(self, observation: Any) -> Any:
        fast, slow = observation.features.tolist()[0]
        side = 1 if fast > slow else -1
        if side == self._side:
            return self._hold
        self._side = side
        self.flips += 1
        return self._long if side > 0 else self._short

    def reset(self) -> None:
        self._side = 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kind, where = sys.argv[1:]
        print(json.dumps({"ours": run_ours, "plain": run_plain}[kind](Path(where))))
    else:
        report(measure)
