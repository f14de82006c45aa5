"""How bad a run is: drawn from its seed, once."""

import random
from dataclasses import dataclass

MAX_DELAY_SECS = 2.0
"""Longest time that a message travels; what has not arrived by then never does."""

IN_FLIGHT_SECS = 3.0
"""After this nobody waits for a message any more."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances of what can go wrong, 0..1 for each occasion, and sizes."""

    bars: int
    bar_secs: int
    start_ns: int
    strategies: int
    moments_per_crash: float
    """0 for none."""
    most_crashes: int
    power_loss: float
    """Chance that a crash takes the machine's memory with it."""
    lost: float
    doubled: float
    slow: float
    """Chance that a message travels for up to `MAX_DELAY_SECS`."""
    stall: float
    """Chance that a write takes up to 400 ms."""
    short_write: float
    refused_sync: float
    full_disk: float
    """Chance that the disk is full, for each thing that needs room."""
    reserves: bool
    """Whether the file system can reserve room."""
    segment_bytes: int
    rejected: float
    partial: float
    jump: float
    """Chance that a price moves by up to 15 % between two readings."""
    kills: int
    """Commands of the operator."""
    unanswered: float
    """Chance that the venue cannot say what became of an order."""


def draw_weather(rng: random.Random) -> Weather:
    """One run's."""
    is_stormy = rng.random() < 0.7
    has_bad_disk = rng.random() < 0.25
    midnight = 20_000 * 86_400
    start = (
        midnight - rng.randrange(60, 900) if rng.random() < 0.5 else midnight + rng.randrange(3600, 80_000)
    )
    bar_secs = rng.choice((20, 60))
    return Weather(
        bars=rng.randrange(3, 8),
        bar_secs=bar_secs,
        start_ns=(start - start % bar_secs) * 1_000_000_000,
        strategies=rng.choice((1, 1, 2)),
        moments_per_crash=rng.choice((15.0, 60.0, 150.0, 300.0, 0.0)),
        most_crashes=rng.randrange(1, 6),
        power_loss=rng.choice((0.0, 0.5, 1.0)),
        lost=rng.choice((0.01, 0.05, 0.15)) if is_stormy else 0.0,
        doubled=rng.choice((0.01, 0.1)) if is_stormy else 0.0,
        slow=rng.choice((0.02, 0.2)),
        stall=rng.choice((0.0, 0.03, 0.2)),
        short_write=0.05 if has_bad_disk else 0.0,
        refused_sync=rng.choice((0.0, 0.01)) if has_bad_disk else 0.0,
        full_disk=rng.choice((0.0, 0.03)) if has_bad_disk else 0.0,
        reserves=rng.random() < 0.8,
        segment_bytes=rng.choice((16_384, 65_536)),
        rejected=rng.choice((0.0, 0.05)),
        partial=rng.choice((0.0, 0.3)),
        jump=rng.choice((0.0, 0.1)),
        kills=rng.choice((0, 1, 3)),
        unanswered=rng.choice((0.0, 0.05)) if is_stormy else 0.0,
    )
