"""Sends one message and ends: a document on standard input, one outcome a channel on standard output."""

import json
import logging
import sys
from typing import Any

import apprise


class _Heard(logging.Handler):
    """What the library says about a failure goes nowhere else: it may name an address."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


def main() -> int:
    """Read, send, answer."""
    logging.getLogger("apprise").addHandler(_Heard())
    logging.getLogger("apprise").propagate = False
    document = json.load(sys.stdin)
    outcomes = [_send(one, document["title"], document["body"]) for one in document["channels"]]
    json.dump(outcomes, sys.stdout)
    return 0


def _send(channel: dict[str, Any], title: str, body: str) -> dict[str, Any]:
    outcome = {"channel": channel["name"], "is_sent": False, "error": ""}
    try:
        desk = apprise.Apprise()
        if not desk.add(channel["url"]):
            return outcome | {"error": "not an address that its service would take; read how it is written"}
        if not desk.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
            return outcome | {"error": "the service did not take it"}
    except Exception as error:  # noqa: BLE001 - its message may hold the address
        return outcome | {"error": f"the sender failed: {type(error).__name__}"}
    return outcome | {"is_sent": True}


if __name__ == "__main__":
    sys.exit(main())
