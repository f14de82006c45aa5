"""One model on bars that it did not learn from, as a page."""

from collections.abc import Mapping
from typing import Any

from ml.evaluation.contest import over_shared_time
from ml.walk_forward import WalkForwardSummary
from ops.report.behaviour import answer_drawings
from ops.report.contest import selection
from ops.report.document import Part, render_document
from ops.report.lines import returns_chart
from ops.report.markup import Markup, element, joined
from ops.report.scorecard import figures, method_note, tiles, versus
from ops.report.sections import regimes
from ops.report.wording import instant


def render_evaluation(
    name: str, currency: str, summary: WalkForwardSummary, document: Mapping[str, Any]
) -> str:
    """The whole page.

    Args:
        name: Of the model.
        currency: Quote currency of the account.
        summary: Of the span.
        document: The content of ``report.json``.
    """
    own = {"regimes": document["regimes"]} if document["regimes"] is not None else {}
    shown = {**document, "strategies": {name: own}, "best": None, "overfitting": None}
    curves = over_shared_time({name: summary.curve, **summary.baseline_curves})
    lines = {key: curve.equity / curve.initial - 1.0 for key, curve in curves.items()}
    facts = [
        f"{instant(document['start_ns'])} to {instant(document['end_ns'])} UTC",
        _learned(document),
        f"model {document['bundle_id'][:12]}",
    ]
    parts = [
        Part("overview", "Overview", joined([_warning(document), tiles(shown, currency)])),
        Part("curves", "Return, net of costs", returns_chart(curves[name].ts_event, lines)),
        Part("figures", "Figures", joined([figures(shown), method_note(shown)])),
        Part("versus", "Against baselines", versus(shown)),
        Part("regimes", "Regimes", regimes(shown)),
        Part("selection", "More than luck", selection(shown)),
        Part("answers", "Answers of the policy", answer_drawings(document["answers"])),
    ]
    return render_document(f"Evaluation of {name}", facts, parts)


def _learned(document: Mapping[str, Any]) -> str:
    learned = document["learned"]
    if learned is None:
        return "what it learned from is not known"
    return f"learned from {instant(learned['start_ns'])} to {instant(learned['end_ns'])}"


def _warning(document: Mapping[str, Any]) -> Markup:
    overlap = document["overlap"]
    if document["learned"] is None:
        said = "What this model learned from is not known; these figures may show what it remembers."
    elif overlap is not None:
        span = f"{instant(overlap['start_ns'])} to {instant(overlap['end_ns'])}"
        said = (
            f"{overlap['bars']:,} of these bars, {span}, are among those that it learned from or that "
            "chose it; these figures show what it remembers."
        )
    else:
        said = "None of these bars is among those that it learned from or that chose it."
    return element("p", said, class_="note")
