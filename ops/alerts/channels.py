"""Where alerts go: a file of addresses that nobody else can read, and the hosts that may be called.

An address holds a secret, so it is in no configuration. It is one line in the credential ``alerts`` of the
service (systemd), or in the file ``alerts.urls`` of the state directory, mode 0600, in Apprise's notation:

    tgram://<bot token>/<chat id>
    discord://<webhook id>/<webhook token>
    slack://<token a>/<token b>/<token c>
    mailtos://<user>:<password>@<host>
    jsons://<host>/<path>

Flow: file → **channels** → delivery.
"""

import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from strategies.errors import ConfigError

CREDENTIAL = "alerts"
"""Name of the systemd credential."""
FILE = "alerts.urls"
"""Name in the state directory."""

SERVICES = ("tgram", "discord", "slack")
"""Kinds that call one host and no other."""
OWN_HOSTS = ("json", "jsons", "mailto", "mailtos")
"""Kinds that call the host in their address, which the configuration has to allow."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_UNENCRYPTED = frozenset({"json", "mailto"})
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
_KIND = re.compile(r"[a-z]+")


class Channel(NamedTuple):
    """One address."""

    name: str
    """Kind and place in the file, for example ``tgram-1``; safe to show."""
    url: str
    """With its secrets; never shown, never recorded."""


def read_channels(credentials_dir: Path | None, state_dir: Path, hosts: Collection[str]) -> list[Channel]:
    """Read the addresses; none where there is no file.

    Args:
        credentials_dir: systemd's, of this service; its file goes first.
        state_dir: Where the other file may lie.
        hosts: That ``json`` and ``mailto`` addresses may name, beside this machine itself.

    Raises:
        ConfigError: If others can read the file, or a line is not an address that is allowed. The message
            shows no address.
    """
    path = _find(credentials_dir, state_dir)
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected lines of text, found: {error}") from error
    channels: list[Channel] = []
    for number, line in enumerate(lines, start=1):
        url = line.strip()
        if not url or url.startswith("#"):
            continue
        kind = _check(f"{path}, line {number}", url, hosts)
        channels.append(Channel(f"{kind}-{len(channels) + 1}", url))
    return channels


def _find(credentials_dir: Path | None, state_dir: Path) -> Path | None:
    if credentials_dir is not None and (credentials_dir / CREDENTIAL).exists():
        return credentials_dir / CREDENTIAL  # systemd sees to it that nobody else reads it
    path = state_dir / FILE
    if not path.exists():
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS_MAY:
        raise ConfigError(
            f"{path}: expected a file that only its owner may read, for it holds secrets; found mode "
            f"{mode:04o}; chmod 600 it, and change the secrets if others could log in here"
        )
    return path


def _check(where: str, url: str, hosts: Collection[str]) -> str:
    parts = urlsplit(url)
    kind, host = parts.scheme, (parts.hostname or "").lower()
    if kind in SERVICES:
        return kind
    if kind not in OWN_HOSTS:
        known = ", ".join([*SERVICES, *OWN_HOSTS])
        shown = kind if _KIND.fullmatch(kind) else "something else"
        raise ConfigError(f"{where}: expected an address of one of {known}, found {shown}")
    # A mail address may name the server that is to be called after the question mark.
    servers = {host, *(one.lower() for one in parse_qs(parts.query).get("smtp", ()))}
    if servers <= _LOOPBACK:
        return kind
    if not servers <= {*hosts, *_LOOPBACK}:
        raise ConfigError(
            f"{where}: expected a host that alerts.hosts of the host file allows, found another; add it "
            "there if this is where alerts shall go"
        )
    if kind in _UNENCRYPTED:
        raise ConfigError(f"{where}: expected an encrypted channel, found {kind}; use {kind}s")
    return kind
