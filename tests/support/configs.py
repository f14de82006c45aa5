"""Configuration files for tests: small, good, and easy to spoil."""

from pathlib import Path

HOST = """\
kind = "paper"
strategies = ["strategies/one.toml"]

[venue]
name = "DEMO"
starting_balance = 1_000.0

[replay]
speed = 60.0
"""

STRATEGY = """\
name = "one"
instruments = ["ALPHAUSDT.DEMO"]
capital_quote = 1_000.0

[features]
lookback = 8

[[features.columns]]
kind = "log_return"
params = { period = 1 }

[policy]
kind = "donchian"
lookback = 20

[guardrails]
min_confidence = 0.5
"""


def write_configs(directory: Path, *, host: str = HOST, **strategies: str) -> Path:
    """Write a host file and strategy files; without any named, the good one as ``one``.

    Returns:
        Path of the host file.
    """
    (directory / "strategies").mkdir(exist_ok=True)
    for name, text in (strategies or {"one": STRATEGY}).items():
        (directory / "strategies" / f"{name}.toml").write_text(text)
    path = directory / "host.toml"
    path.write_text(host)
    return path
