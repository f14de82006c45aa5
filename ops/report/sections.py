"""The rest of the page: costs, regimes, guardrails, orders, data, and what pins the run."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ops.report.contents import RunContents
from ops.report.markup import Markup, element, joined, table
from ops.report.wording import instant, number, percent, signed_number, tone
from strategies.tape import HaltRecord, OrderRecord, VerdictRecord

MAX_ISSUES = 200
"""Data findings shown; all of them are in data_quality.json."""


def halts(run: RunContents) -> Markup:
    """A warning that sums up every halt and latched limit; nothing when there was none."""
    if not run.tape.halts:
        return Markup("")
    kinds: dict[tuple[str, str, str], list[HaltRecord]] = {}
    for halt in run.tape.halts:
        kinds.setdefault((halt.strategy, halt.state, halt.reason), []).append(halt)
    lines = [element("li", _restriction(found)) for found in kinds.values()]
    content = (element("strong", "Trading was restricted"), element("ul", *lines))
    return element("div", *content, class_="warning", role="alert")


def _restriction(found: Sequence[HaltRecord]) -> str:
    first, last = found[0], found[-1]
    what = f"{first.strategy}: {first.state}, {first.reason}"
    detail = f" ({first.detail})" if first.detail else ""
    if len(found) == 1:
        return f"{what}{detail} on {instant(first.ts_event)} UTC"
    return (
        f"{what}, {len(found):,} times from {instant(first.ts_event)} to {instant(last.ts_event)} UTC{detail}"
    )


def costs(run: RunContents, metrics: Mapping[str, Any]) -> Markup:
    """From gross profit to net, cost by cost."""
    net, total = metrics["pnl_quote"], metrics["costs"]["total_quote"]
    gross, notional = net + total, metrics["traded_notional_quote"]
    kinds = {kind: value for kind, value in run.costs_quote.items() if value != 0.0}
    unexplained = total - sum(kinds.values())
    if abs(unexplained) > 1e-6 * max(1.0, total):
        kinds["other"] = unexplained
    steps = [("Profit before costs", gross), *((_worded(kind), -value) for kind, value in kinds.items())]
    widest = max(abs(value) for value in (*(value for _, value in steps), net)) or 1.0
    rows: list[list[object]] = [
        [label, signed_number(value), _bps(value, notional), _bar(value, widest)] for label, value in steps
    ]
    rows.append(
        [
            element("strong", "Profit after costs"),
            element("strong", signed_number(net), class_=tone(net)),
            _bps(net, notional),
            _bar(net, widest),
        ]
    )
    headers = ["", run.currency, "bps of traded value", ""]
    return table(headers, rows, caption="From gross to net", class_="costs")


def _worded(kind: str) -> str:
    return kind.replace("_", " ").capitalize()


def _bps(value: float, notional: float) -> str:
    return signed_number(1e4 * value / notional, 2) if notional > 0 else "–"


def _bar(value: float, widest: float) -> Markup:
    kind = "gain" if value >= 0 else "loss"
    return element(
        "span",
        element("span", class_=f"fill {kind}", style=f"width:{100 * abs(value) / widest:.2f}%"),
        class_="bar",
        aria_hidden="true",
    )


def regimes(metrics: Mapping[str, Any]) -> Markup:
    """Per strategy: its states and the moves between them."""
    parts: list[Markup] = []
    for name, book in metrics["strategies"].items():
        found = book.get("regimes")
        if found is None:
            continue
        rows = [
            [
                joined([element("i", class_=f"swatch state{s['state'] % 6}"), f" state {s['state']}"]),
                f"{s['bars']:,}",
                percent(s["share_frac"], 1),
                number(s["average_stay_bars"], 1),
                number(s["mean_probability"], 3),
                element("span", signed_number(s["pnl_quote"]), class_=tone(s["pnl_quote"])),
            ]
            for s in found["states"]
        ]
        headers = ["State", "Bars", "Share", "Average stay, bars", "Mean belief", "Net profit"]
        states = table(headers, rows, caption=f"Regimes of {name}")
        moves = _transitions(name, found["transitions"])
        parts += [element("h3", name), element("div", states, moves, class_="pair")]
    return joined(parts) if parts else element("p", "No strategy has a regime model.", class_="note")


def _transitions(name: str, counts: Sequence[Sequence[int]]) -> Markup:
    rows = []
    for state, row in enumerate(counts):
        total = sum(row)
        shares = [n / total if total else None for n in row]
        rows.append([f"from {state}", *(_likelihood(share) for share in shares)])
    headers = ["Next bar", *(f"to {state}" for state in range(len(counts)))]
    return table(headers, rows, caption=f"Regime transitions of {name}", class_="months")


def _likelihood(share: float | None) -> Markup:
    strength = round(70 * (share or 0.0))
    return element("span", percent(share, 1), class_="heat belief", style=f"--strength:{strength}%")


def guardrails(verdicts: Iterable[VerdictRecord]) -> Markup:
    """How often each guardrail let pass, cut or vetoed a trade."""
    passed: Counter[str] = Counter()
    clipped: Counter[str] = Counter()
    vetoed: Counter[str] = Counter()
    for verdict in verdicts:
        kind = vetoed if verdict.approved == 0 else clipped if verdict.reason != "ok" else passed
        kind[verdict.reason] += 1
    counts = passed + clipped + vetoed
    if not counts:
        return element("p", "No trade was proposed.", class_="note")
    widest = max(counts.values())
    total = sum(counts.values())
    rows = [
        [
            reason,
            f"{count:,}",
            percent(count / total, 1),
            f"{clipped[reason]:,}",
            f"{vetoed[reason]:,}",
            _share_bar(passed[reason], clipped[reason], vetoed[reason], widest),
        ]
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    headers = ["Reason", "Trades", "Share", "Cut", "Vetoed", ""]
    return table(headers, rows, caption="Guardrail verdicts", class_="costs")


def _share_bar(passed: int, clipped: int, vetoed: int, widest: int) -> Markup:
    fills = (("gain", passed), ("cut", clipped), ("loss", vetoed))
    return element(
        "span",
        *(
            element("span", class_=f"fill {kind}", style=f"width:{100 * count / widest:.2f}%")
            for kind, count in fills
            if count
        ),
        class_="bar",
        aria_hidden="true",
    )


def orders(records: Iterable[OrderRecord]) -> Markup:
    """How orders ended, by role."""
    last: dict[str, OrderRecord] = {}
    for record in records:
        last[record.client_order_id] = record
    if not last:
        return element("p", "No order was sent.", class_="note")
    statuses = sorted({record.status for record in last.values()})
    counts = Counter((record.role, record.status) for record in last.values())
    rows = [
        [role, *(f"{counts[role, status]:,}" if counts[role, status] else "·" for status in statuses)]
        for role in sorted({record.role for record in last.values()})
    ]
    ended = table(["Role", *(s.replace("_", " ").lower() for s in statuses)], rows, caption="Orders by end")
    reasons = Counter((r.status, r.reason) for r in last.values() if r.reason)
    if not reasons:
        return ended
    most = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:15]
    told = [[status.lower(), reason, f"{count:,}"] for (status, reason), count in most]
    why = table(["End", "Reason", "Orders"], told, caption="Reasons of orders that ended badly")
    return joined([ended, why])


def data_quality(found: Mapping[str, Any]) -> Markup:
    """What is known to be wrong with the data, and what else is known about it."""
    issues = found.get("issues", [])
    facts = [(key, value) for key, value in sorted(found.items()) if key != "issues"]
    parts = [definitions(facts)] if facts else []
    doubtful = sum(found.get("exits_in_doubt", {}).values())
    if doubtful:
        note = (
            f"{doubtful:,} exits fell into a bar that reached both stop and target. Which came first is not "
            "known: the high is taken to, so the target of a long position, which flatters it."
        )
        parts.append(element("p", note, class_="note"))
    if not issues:
        return joined([*parts, element("p", "No gaps, duplicates or violations were found.", class_="note")])
    keys = sorted({key for issue in issues for key in issue})
    rows = [[_cell(key, issue.get(key, "")) for key in keys] for issue in issues[:MAX_ISSUES]]
    names = [key.removesuffix("_ns").replace("_", " ") for key in keys]
    parts.append(table(names, rows, caption="Findings in the data", class_="left"))
    if len(issues) > MAX_ISSUES:
        note = f"{len(issues) - MAX_ISSUES:,} more are in data_quality.json."
        parts.append(element("p", note, class_="note"))
    return joined(parts)


def _cell(key: str, value: Any) -> Any:
    return instant(value) if key.endswith("_ns") and isinstance(value, int) else value


def definitions(pairs: Iterable[tuple[str, Any]]) -> Markup:
    """Names and values, as a list."""
    return element(
        "dl", *(joined([element("dt", name), element("dd", _written(value))]) for name, value in pairs)
    )


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
