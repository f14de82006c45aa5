"""A training file with what it names, on the generated market; it is over in seconds."""

from pathlib import Path

from tests.support.bots import write_bot

STRATEGY = """\
name = "learner"
instruments = ["ALPHAUSDT.DEMO", "BETAUSDT.DEMO"]
capital_quote = 100_000.0
[features]
lookback = 16
[[features.columns]]
kind = "log_return"
params = { period = 1 }
[[features.columns]]
kind = "ewma_volatility"
params = { halflife = 30 }
[regime]
columns = ["log_return_1"]
[policy]
kind = "bundle"
path = "unused"
[allocation]
action_map = "simplex_cash"
max_step_change = 2.0
rebalance_eps = 0.0
[guardrails]
min_confidence = 0.0
daily_loss_quote = 20_000.0
state_drawdown_quote = 20_000.0
max_daily_notional_quote = 100_000_000.0
max_notional_quote = 60_000.0
max_gross_quote = 100_000.0
"""

TRAINING = """\
host = "backtest.toml"
strategy = "learner.toml"

[generate]
seed = 3
days = 3

[regime]
num_states = 2
num_restarts = 1

[network]
kind = "mlp"
hidden = [8]
code = 8
initial_std = 1.0

[environment]
num_envs = 16
num_clocks = 8
horizon_bars = 256

[ppo]
total_timesteps = 4_096
num_steps = 1_024
batch_size = 256
update_epochs = 2
eval_every = 2_048

[drift]
window_bars = 50
period_bars = 100
num_stretches = 50
"""


def write_training(directory: Path, catalog: Path, text: str = TRAINING) -> Path:
    write_bot(directory, catalog, ("holder",))
    (directory / "learner.toml").write_text(STRATEGY)
    path = directory / "training.toml"
    path.write_text(text)
    return path
