"""What Prometheus scrapes.

Flow: tape, laps, commands → **events**, and the daemon's state at that moment → **samples** → text.
"""

from ops.metrics.events import Events
from ops.metrics.exposition import Exposition, Sample
from ops.metrics.families import FAMILIES, Family, Kind, as_markdown

__all__ = ["FAMILIES", "Events", "Exposition", "Family", "Kind", "Sample", "as_markdown"]
