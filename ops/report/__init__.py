"""A run as one HTML file that needs nothing but itself: no network, no server, no other file.

    page = render_report(RunContents(…))     # str; equal contents give equal text

Charts are drawn by the vendored uPlot; a content security policy in the page forbids everything else.
Text from outside (names, reasons, configuration) is escaped where it becomes HTML or script data.
"""

from ops.report.contents import BarSeries, RunContents
from ops.report.page import render_report

__all__ = ["BarSeries", "RunContents", "render_report"]
