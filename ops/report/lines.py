"""Lines over time as a drawing in the page itself, for pages that are read rather than explored."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ops.report.markup import Markup, element, joined
from ops.report.sampling import extreme_indices
from ops.report.wording import instant, signed_percent
from strategies.market import Floats

MAX_POINTS = 1_200
NUM_COLOURS = 8
_WIDTH, _HEIGHT = 1_000.0, 260.0


def returns_chart(ts_event: npt.NDArray[np.int64], lines: Mapping[str, Floats]) -> Markup:
    """Returns since the start, one line each.

    Args:
        ts_event: Times that all lines share, UTC nanoseconds, ascending, shape (T,).
        lines: Fractions, each of shape (T,).
    """
    at = extreme_indices(list(lines.values()), MAX_POINTS)
    low = min(0.0, *(float(line.min()) for line in lines.values()))
    high = max(0.0, *(float(line.max()) for line in lines.values()))
    span = (high - low) or 1.0
    times = (ts_event[at] - ts_event[0]).astype(np.float64)
    x = _WIDTH * times / max(float(times[-1]), 1.0)

    def y(values: Floats) -> Floats:
        return _HEIGHT * (high - values) / span

    nil = f"{_HEIGHT * high / span:.1f}"
    drawn = [
        element("line", x1=0, x2=_WIDTH, y1=nil, y2=nil, style="stroke:var(--muted)", stroke_dasharray="4 4"),
        *(
            element(
                "polyline",
                points=" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y(line[at]), strict=True)),
                style=f"stroke:var(--s{number % NUM_COLOURS});stroke-width:1.6;fill:none",
                vector_effect="non-scaling-stroke",
            )
            for number, line in enumerate(lines.values())
        ),
    ]
    picture = element(
        "svg",
        *drawn,
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        preserveAspectRatio="none",
        style="width:100%;height:260px;display:block",
        role="img",
        aria_label="Return since the start",
    )
    scale = f"{signed_percent(low)} to {signed_percent(high)}, {instant(int(ts_event[0]))} to "
    note = element("p", f"{scale}{instant(int(ts_event[-1]))} UTC", class_="note")
    return joined([picture, element("p", *_legend(lines), class_="facts"), note])


def _legend(lines: Mapping[str, Floats]) -> list[Markup]:
    return [
        element(
            "span",
            element("i", class_="swatch", style=f"background:var(--s{number % NUM_COLOURS})"),
            f" {name} {signed_percent(float(line[-1]))}",
        )
        for number, (name, line) in enumerate(lines.items())
    ]
