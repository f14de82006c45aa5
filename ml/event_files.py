"""Reads what `ml.tracking` wrote for TensorBoard: curves, histograms, and the gradients of each layer.

Flow: tensorboard/ → **event files** → JSON.

TensorBoard's own reader does the reading. What a training that was cut off had written after its last
checkpoint is left out, and of each step only what was written last.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strategies.errors import DataError

MOST_POINTS = 5_000
"""Of one curve; of a longer one some, drawn evenly, and its last."""
MOST_HISTOGRAMS = 200
GRADIENTS = "gradient_norm/"


class EventFiles:
    """The event files of one run.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        # Imported here: only the process that reads curves needs it.
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        sizes = {"scalars": MOST_POINTS, "histograms": MOST_HISTOGRAMS}
        self._events: Any = EventAccumulator(str(folder), size_guidance=sizes)

    def reload(self) -> None:
        """Read what was written since."""
        self._events.Reload()

    def tags(self) -> dict[str, list[str]]:
        """Names of curves and histograms."""
        found = self._events.Tags()
        return {"scalars": sorted(found["scalars"]), "histograms": sorted(found["histograms"])}

    def scalars(self, tags: list[str]) -> dict[str, list[dict[str, Any]]]:
        """The points of some curves, by tag.

        Raises:
            DataError: If there is no such curve.
        """
        return {tag: self._points(tag) for tag in tags}

    def histograms(self, tag: str) -> list[dict[str, Any]]:
        """The histograms of one tag, by step: buckets of left edge, right edge and count.

        Raises:
            DataError: If there are none.
        """
        self._require("histograms", tag)
        by_step = {event.step: event for event in self._events.Histograms(tag)}
        return [
            {"step": step, "wall_time": event.wall_time, "buckets": _buckets(event.histogram_value)}
            for step, event in sorted(by_step.items())
        ]

    def gradients(self) -> dict[str, Any]:
        """Norms of gradients as a matrix, layer by step; null where a layer has none at a step."""
        tags = [tag for tag in self.tags()["scalars"] if tag.startswith(GRADIENTS)]
        curves = {
            tag.removeprefix(GRADIENTS): {point["step"]: point["value"] for point in self._points(tag)}
            for tag in tags
        }
        steps = sorted({step for curve in curves.values() for step in curve})
        values = [[curve.get(step) for step in steps] for curve in curves.values()]
        return {"layers": list(curves), "steps": steps, "values": values}

    def _points(self, tag: str) -> list[dict[str, Any]]:
        self._require("scalars", tag)
        by_step = {event.step: event for event in self._events.Scalars(tag)}
        return [
            {
                "step": step,
                "wall_time": event.wall_time,
                "value": event.value if math.isfinite(event.value) else None,
            }
            for step, event in sorted(by_step.items())
        ]

    def _require(self, kind: str, tag: str) -> None:
        known = self.tags()[kind]
        if tag not in known:
            raise DataError(f"expected one of the {kind} {known[:50]}, found {tag!r}")


def answer(events: EventFiles, question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one question about a run's curves.

    Raises:
        DataError: If it names what there is not.
    """
    match question["question"]:
        case "tags":
            return dict(events.tags())
        case "scalars":
            return {"tags": events.scalars(question["tags"])}
        case "histograms":
            return {"tag": question["tag"], "histograms": events.histograms(question["tag"])}
        case _:
            return events.gradients()


def _buckets(value: Any) -> list[list[float]]:
    """Edges and counts; the outermost edges are the least and the greatest value, not infinity."""
    buckets, left = [], value.min
    for limit, count in zip(value.bucket_limit, value.bucket, strict=True):
        right = min(limit, value.max)
        if count:
            buckets.append([left, max(left, right), count])
        left = max(value.min, limit)
    return buckets
