"""A page of tables and drawings in the style of a run's report, without a script."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ops.report.markup import Markup, element, escaped, joined

_STYLE = Path(__file__).parent / "page.css"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Part(NamedTuple):
    """A section of the page."""

    anchor: str
    heading: str
    content: Markup


def render_document(title: str, facts: Sequence[object], parts: Sequence[Part]) -> str:
    """The whole page; equal contents give equal text.

    Args:
        title: Of the page.
        facts: Shown under the title.
        parts: In order.
    """
    links = [element("a", part.heading, href=f"#{part.anchor}") for part in parts]
    header = element(
        "header",
        element(
            "div", element("h1", title), element("p", *(element("span", f) for f in facts), class_="facts")
        ),
        element("nav", *links, aria_label="Sections"),
    )
    sections = [
        element("section", element("h2", part.heading), part.content, id=part.anchor) for part in parts
    ]
    head = joined(
        [
            Markup('<meta charset="utf-8">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", title),
            Markup(f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>"),
        ],
        "\n",
    )
    body = element("body", header, element("main", *sections, id="main"))
    return f'<!doctype html>\n<html lang="en">\n<head>\n{escaped(head)}\n</head>\n{body}\n</html>\n'
