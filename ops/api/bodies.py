"""What requests may say: bodies of commands, filters of questions. Strict, and nothing beside."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from ops.journal.questions import LATEST_NS, Cursor
from ops.kill_mode import KillMode
from strategies.restrictions import EVERYTHING, Scope

MOST_ROWS = 1_000
MOST_EVERY_SECS = 31 * 86_400

_SCOPE = re.compile(r"(all|(venue|strategy|instrument):[!-~]{1,200})")


def _scope(text: object) -> Scope:
    if not isinstance(text, str) or not _SCOPE.fullmatch(text):
        raise ValueError("expected the scope all, venue:NAME, strategy:NAME or instrument:ID")
    return Scope.parse(text)


def _mode(text: object) -> KillMode:
    if not isinstance(text, str) or text not in list(KillMode):
        raise ValueError(f"expected one of {[mode.value for mode in KillMode]}")
    return KillMode(text)


def _cursor(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("expected a cursor as text")
    return str(Cursor.parse(text))


_CURSOR = {"type": "string", "pattern": r"^[0-9]{1,18}(:[!-~]{0,200})?$"}
_ScopeField = Annotated[
    Scope,
    PlainValidator(_scope),
    WithJsonSchema({"type": "string", "pattern": f"^{_SCOPE.pattern}$"}),
]
_ModeField = Annotated[
    KillMode,
    PlainValidator(_mode),
    WithJsonSchema({"type": "string", "enum": [mode.value for mode in KillMode]}),
]


class Command(BaseModel):
    """What every command says."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: str = Field(min_length=1, max_length=500)
    """Why; it is recorded."""
    who: str | None = Field(default=None, min_length=1, max_length=100)
    """A name for the record, beside what the token or the kernel says."""

    def asked(self) -> dict[str, Any]:
        """What the command asks for beside its reason, as plain JSON values."""
        fields = {
            name: getattr(self, name) for name in type(self).model_fields if name not in Command.model_fields
        }
        return {name: str(value) if isinstance(value, Scope) else value for name, value in fields.items()}


class StopRequest(Command):
    """Body of a stop."""

    flatten: bool | None = None
    """Close all positions first; None does what the configuration says."""


class ResumeRequest(Command):
    """Body of a resume; the scope has to be named."""

    scope: _ScopeField


class KillRequest(Command):
    """Body of a kill; without a scope it is of everything."""

    scope: _ScopeField = Field(default=EVERYTHING, json_schema_extra={"default": "all"})
    mode: _ModeField = KillMode.HALT


class StrategyRequest(Command):
    """Body of a pause or its end."""

    strategy: str = Field(min_length=1, max_length=100)


class ReconcileRequest(Command):
    """Body of a comparison of books."""

    accept: bool = False
    """Take what the account holds beside ours as somebody else's from now on."""


class FlattenRequest(Command):
    """Body of a flatten: a kill that closes positions, of one strategy or of all."""

    strategy: str | None = Field(default=None, min_length=1, max_length=100)


class ConfirmRequest(Command):
    """Body of the second step of arming."""

    nonce: str = Field(min_length=1, max_length=100)
    """Of the first step."""

    def asked(self) -> dict[str, Any]:
        """Nothing: a nonce is for nobody to read."""
        return {}


def _name(value: object) -> object:
    return value if value != "" else None


class TimeQuery(BaseModel):
    """Which rows, by time, and how many."""

    model_config = ConfigDict(extra="forbid")

    since_ns: int | None = Field(default=None, ge=0, le=LATEST_NS)
    """Market time at or after which a row is, UTC nanoseconds."""
    until_ns: int | None = Field(default=None, ge=0, le=LATEST_NS)
    """Market time at or before which it is."""
    limit: int = Field(default=100, ge=1, le=MOST_ROWS)
    before: Annotated[str | None, PlainValidator(_cursor), WithJsonSchema(_CURSOR)] = None
    """``next_cursor`` of the page before."""


class PageQuery(TimeQuery):
    """Likewise, of one strategy."""

    strategy: Annotated[str | None, BeforeValidator(_name)] = Field(default=None, max_length=100)


_EverySecs = Annotated[int | None, Field(ge=1, le=MOST_EVERY_SECS)]


class EquityQuery(PageQuery):
    """Likewise, and how far apart."""

    every_secs: _EverySecs = None
    """One row a strategy, the newest, of each stretch of market time of this length; None is every row."""


class BarsQuery(TimeQuery):
    """Which bars."""

    instrument_id: Annotated[str | None, BeforeValidator(_name)] = Field(default=None, max_length=100)
    every_secs: _EverySecs = None
    """Joins the bars of each stretch of market time of this length; None is the bars as they came."""


class InstrumentQuery(PageQuery):
    """Likewise, of one instrument."""

    instrument_id: Annotated[str | None, BeforeValidator(_name)] = Field(default=None, max_length=100)


class OrdersQuery(InstrumentQuery):
    """Likewise, of open orders."""

    open_only: bool = False
