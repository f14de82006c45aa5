"""HTML that cannot be injected into: text is escaped unless it is markup already."""

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML on purpose; whatever went into it was escaped on the way."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """Any value as safe HTML text; markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value), quote=True))


def joined(parts: Iterable[object], separator: str = "") -> Markup:
    """Several values as one piece of HTML."""
    return Markup(separator.join(escaped(part) for part in parts))


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """An element; ``class_`` becomes ``class``, underscores become dashes, None attributes are left out."""
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    written = "".join(
        f' {names[name]}="{escaped(value)}"' for name, value in attributes.items() if value is not None
    )
    return Markup(f"<{tag}{written}>{joined(content)}</{tag}>")


def table(
    headers: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str, class_: str = ""
) -> Markup:
    """A table in a scrolling frame; each row's first cell heads it."""
    head = element("tr", *(element("th", cell, scope="col") for cell in headers))
    body = [
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
        for row in rows
    ]
    content = element(
        "table",
        element("caption", caption, class_="hidden"),
        element("thead", head),
        element("tbody", *body),
        class_=class_ or None,
    )
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=caption)
