"""Bearer tokens: a file of hashes that only its owner can read, and what a token is worth.

A token is 256 random bits, so its SHA-256 is enough: a slow derivation function makes guessing a password
costly, and nothing guesses 256 bits at any speed. A stolen file gives no token away. Of each role two tokens
may be valid at a time, so that one can be replaced without a gap: make the second, move everybody over,
revoke the first. A change of the file holds from the next request on.
"""

import hashlib
import hmac
import json
import logging
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ops.api.roles import Caller, Role
from ops.disk import Disk
from strategies.errors import ConfigError

CREDENTIAL = "api-tokens"
"""Name of the systemd credential; its file goes first."""
FILE = "api-tokens.json"
"""Name in the state directory."""
MOST_OF_A_ROLE = 2

_FORMAT = 1
_PREFIX = "argo_"
_ID_DIGITS = 8
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_LOG = logging.getLogger(__name__)


class Token(NamedTuple):
    """What is kept of a token."""

    id: str
    """Names it for people: role and the first digits of its hash."""
    role: Role
    sha256: str
    created: str
    """ISO time, for people."""


def new_token(tokens: list[Token], role: Role, created: str) -> tuple[str, Token]:
    """Make a token.

    Args:
        tokens: Those that are valid.
        created: Now, as ISO text.

    Returns:
        The token, which nobody can tell again, and what is to be kept of it.

    Raises:
        ConfigError: If two of the role are valid already.
    """
    valid = [one.id for one in tokens if one.role is role]
    if len(valid) >= MOST_OF_A_ROLE:
        raise ConfigError(
            f"expected at most one valid token of role {role.word} before a new one, found {valid}; "
            "revoke the one that nobody uses any more: argonaut token revoke ID"
        )
    token = _PREFIX + secrets.token_urlsafe(32)
    digest = _digest(token)
    return token, Token(f"{role.word}-{digest[:_ID_DIGITS]}", role, digest, created)


def write_tokens(disk: Disk, path: Path, tokens: list[Token]) -> None:
    """Replace the file, readable by its owner alone.

    Raises:
        OSError: If the disk refuses; the file is as it was.
    """
    document = {
        "format": _FORMAT,
        "tokens": [one._asdict() | {"role": one.role.word} for one in tokens],
    }
    disk.replace(path, json.dumps(document, indent=2).encode() + b"\n")


def read_tokens(path: Path, *, is_credential: bool = False) -> list[Token]:
    """Read the file; no tokens where there is none.

    Args:
        is_credential: Whether systemd sees to it that nobody else reads it.

    Raises:
        ConfigError: If others can read it, or it is something else.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{path}: expected a file of tokens that can be read, found: {error}") from error
    if mode & _OTHERS_MAY and not is_credential:
        raise ConfigError(
            f"{path}: expected a file that only its owner may read, found mode {mode:04o}; chmod 600 it"
        )
    try:
        return _parse(json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path}: expected what `argonaut token new` writes, found something else ({error}); "
            "delete it and make new tokens"
        ) from None


def _parse(document: Any) -> list[Token]:
    if document["format"] != _FORMAT:
        raise ValueError(f"format {document['format']!r} rather than {_FORMAT}")
    tokens = [
        Token(one["id"], Role.parse(one["role"]), one["sha256"], one["created"]) for one in document["tokens"]
    ]
    for one in tokens:
        if len(bytes.fromhex(one.sha256)) != hashlib.sha256().digest_size:
            raise ValueError(f"{one.id} has no SHA-256")
    return tokens


class TokenBook:
    """Says who a token is; reads the file again when it has changed.

    A file that has become unreadable or wrong makes every token invalid until it is right again.

    Args:
        path: The file.
        is_credential: Whether systemd sees to it that nobody else reads it.
        may_be_empty: Whether there is something to be asked without a token, too.

    Raises:
        ConfigError: If the file is not right, or holds no token: whoever switched tokens on wants some.
    """

    def __init__(self, path: Path, *, is_credential: bool = False, may_be_empty: bool = False) -> None:
        self._path = path
        self._is_credential = is_credential
        self._seen = self._look()
        self._tokens = read_tokens(path, is_credential=is_credential)
        if not self._tokens and not may_be_empty:
            raise ConfigError(
                f"{path}: expected at least one token, for [api] tokens = true, found none; make one with "
                "`argonaut token new viewer`"
            )

    @classmethod
    def find(
        cls, credentials_dir: Path | None, state_dir: Path, *, may_be_empty: bool = False
    ) -> "TokenBook":
        """The book of a daemon; systemd's credential goes first.

        Raises:
            ConfigError: As for the class.
        """
        if credentials_dir is not None and (credentials_dir / CREDENTIAL).exists():
            return cls(credentials_dir / CREDENTIAL, is_credential=True, may_be_empty=may_be_empty)
        return cls(state_dir / FILE, may_be_empty=may_be_empty)

    def caller(self, token: str) -> Caller | None:
        """Who a token is; None for one that is not valid."""
        self._refresh()
        digest, found = _digest(token), None
        for one in self._tokens:  # all of them, whichever fits: time tells nothing
            if hmac.compare_digest(digest, one.sha256):
                found = Caller(f"token {one.id}", one.role)
        return found

    def _refresh(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._tokens = read_tokens(self._path, is_credential=self._is_credential)
        except ConfigError as error:
            self._tokens = []
            _LOG.error("no token is valid until this is mended: %s", error)

    def _look(self) -> tuple[int, int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


class FailureThrottle:
    """Bounds what failures cost and tell: after some of one peer, the rest of a minute is answered briefly.

    Only failures are throttled, never a valid token: what cannot be guessed needs no lock, and a lock would
    let anybody on the same machine keep the operator out.

    Args:
        monotonic: Clock, seconds.
        most: Failures of one peer in a window that are answered in full.
        window_secs: Length of a window.
    """

    _MOST_PEERS = 1_024

    def __init__(self, monotonic: Callable[[], float], *, most: int = 10, window_secs: float = 60.0) -> None:
        self._monotonic = monotonic
        self._most = most
        self._window_secs = window_secs
        self._peers: dict[str, tuple[float, int]] = {}

    def fail(self, peer: str) -> float:
        """Count a failure.

        Returns:
            Seconds until the peer's failures are answered in full again; 0 while they are.
        """
        now = self._monotonic()
        began, count = self._peers.pop(peer, (now, 0))
        if now - began >= self._window_secs:
            began, count = now, 0
        self._peers[peer] = began, count + 1
        if len(self._peers) > self._MOST_PEERS:
            del self._peers[next(iter(self._peers))]
        return 0.0 if count < self._most else began + self._window_secs - now


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
