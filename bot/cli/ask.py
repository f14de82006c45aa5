"""How a command asks the daemon that uses a state directory."""

import errno
import getpass
import os
import socket
from pathlib import Path
from typing import Any

from ops.refusals import RefusedError
from ops.state_lock import SOCKET
from strategies.errors import TransientError

_TIMEOUT_SECS = 10.0
_REFUSED = frozenset({"urn:argonaut:refused", "urn:argonaut:unknown"})
_MISTAKES = frozenset({400, 404, 405, 413, 415, 422})
"""Answers to what can never be carried out, however often it is asked."""


def get(state_dir: Path, path: str) -> Any:
    """Ask for a document; None where no daemon answers.

    Raises:
        PermissionError: If this user may not ask, so that nobody can say whether one runs.
        TransientError: If one is there and does not answer in time, or answers with an error.
    """
    return _request(state_dir, "GET", path, None)


def post(state_dir: Path, path: str, body: dict[str, Any]) -> Any:
    """Give a command; None where no daemon answers.

    Raises:
        RefusedError: If the daemon refuses it, or what is asked makes no sense to it.
        PermissionError: If this user may not ask, so that nobody can say whether one runs.
        TransientError: If one is there and does not answer in time, or answers with an error.
    """
    return _request(state_dir, "POST", path, body)


def delete(state_dir: Path, path: str) -> Any:
    """Take something away; None where no daemon answers.

    Raises:
        RefusedError: If the daemon refuses it, or what is asked makes no sense to it.
        PermissionError: If this user may not ask, so that nobody can say whether one runs.
        TransientError: If one is there and does not answer in time, or answers with an error.
    """
    return _request(state_dir, "DELETE", path, None)


def operator_name() -> str:
    """Who gives a command here, for the record."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"cli {name}"


def _request(state_dir: Path, method: str, path: str, body: Any) -> Any:
    path_of_socket = state_dir / SOCKET
    if not _is_listening(path_of_socket):
        return None
    import httpx  # a daemon, which asks nobody, goes without

    transport = httpx.HTTPTransport(uds=str(path_of_socket))
    try:
        with httpx.Client(transport=transport, timeout=_TIMEOUT_SECS, base_url="http://argonaut") as client:
            answer = client.request(method, path, json=body)
    except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
        return None
    except httpx.TimeoutException:
        raise TransientError(
            f"the daemon did not answer within {_TIMEOUT_SECS:g} s; its loop may be blocked"
        ) from None
    if answer.is_error:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        if problem.get("type") in _REFUSED:
            raise RefusedError(
                problem["detail"],
                retry_after_secs=problem.get("retry_after_secs"),
                is_unknown=problem["type"] == "urn:argonaut:unknown",
            )
        told = problem.get("detail", answer.text[:500])
        if answer.status_code in _MISTAKES:
            raise RefusedError(told, is_unknown=True)
        raise TransientError(f"the daemon answered {answer.status_code}: {told}")
    return answer.json()


def _is_listening(path: Path) -> bool:
    """Whether somebody listens at a socket; what a killed daemon left behind has nobody.

    One attempt says it all: a second look may find what the next daemon has done with the file meanwhile.

    Raises:
        PermissionError: If this user may not ask.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_TIMEOUT_SECS)
        try:
            probe.connect(str(path))
        except PermissionError as error:
            what = (
                "a daemon may be running, and this user may not ask it; ask as its user, or as a member of "
                "its group"
            )
            raise PermissionError(errno.EACCES, what, str(path)) from error
        except (TimeoutError, BlockingIOError):
            pass  # its queue is full: whoever asks is told that nobody answers in time
        except OSError:
            return False
    return True
