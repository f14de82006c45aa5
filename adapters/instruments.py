"""The instruments that Argonaut knows, and their trading rules as the engine wants them.

The rules come from ``instruments.toml``, overridden by a file of the user's own. The engine's instrument
types have no fields for fees, sector or calendar; these travel in the instrument's ``info``, which the
catalog keeps, so a catalog alone says all there is to know about its instruments.
"""

import difflib
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from nautilus_trader.model import (
    CryptoPerpetual,
    Currency,
    CurrencyPair,
    Equity,
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
)

from adapters.errors import InstrumentError

type NautilusInstrument = CurrencyPair | CryptoPerpetual | Equity
"""The engine's instrument types that bars can be imported for."""


class InstrumentKind(StrEnum):
    """What is traded."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    EQUITY = "equity"


class Calendar(StrEnum):
    """When bars are due."""

    CONTINUOUS = "continuous"
    """Always."""
    WEEKDAYS = "weekdays"
    """On Mondays to Fridays, UTC."""


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """Trading rules of one instrument."""

    instrument_id: str
    """Symbol and venue, for example ``BTCUSDT.BINANCE``."""
    kind: InstrumentKind
    base: str
    """What is bought; a share's own symbol."""
    quote: str
    """What it is paid in."""
    tick_size: Decimal
    """Smallest price step, quote currency."""
    lot_size: Decimal
    """Smallest quantity step, base units."""
    min_quantity: Decimal
    """Smallest order, base units."""
    min_notional: Decimal
    """Smallest order, quote currency."""
    maker_fee_bps: float
    taker_fee_bps: float
    shortable: bool
    """False where only what is held can be sold."""
    sector: str = ""
    calendar: Calendar = Calendar.CONTINUOUS
    max_gap_bars: int = 0
    """Longest run of absent bars that is normal."""
    margin_init_frac: Decimal = Decimal(0)
    """Of notional, to open; used by margin accounts only."""
    margin_maint_frac: Decimal = Decimal(0)
    """Of notional, to hold; used by margin accounts only."""

    @property
    def price_precision(self) -> int:
        """Decimals of a price."""
        return _decimals(self.tick_size)

    @property
    def size_precision(self) -> int:
        """Decimals of a quantity and of a volume."""
        return _decimals(self.lot_size)


type InstrumentTable = Mapping[str, InstrumentSpec]
"""Specifications by id; the id ``*.VENUE`` stands for whatever else trades there."""

_INFO_KEYS = ("maker_fee_bps", "taker_fee_bps", "shortable", "sector", "calendar", "max_gap_bars")
_DECIMAL_KEYS = frozenset(
    ("tick_size", "lot_size", "min_quantity", "min_notional", "margin_init_frac", "margin_maint_frac")
)
_OPTIONAL_KEYS = frozenset(
    ("base", "sector", "calendar", "max_gap_bars", "margin_init_frac", "margin_maint_frac")
)
_KEYS = frozenset(field.name for field in fields(InstrumentSpec)) - {"instrument_id"}


def load_instruments(path: Path | None = None) -> InstrumentTable:
    """Read the built-in table, and a file of the user's own on top of it.

    Args:
        path: TOML in the form of ``adapters/instruments.toml``; None for the built-in table alone.

    Raises:
        InstrumentError: If the file cannot be read, or an entry has an unknown key, lacks one, or holds a
            value of the wrong kind.
    """
    if path is None:
        return _builtin_table()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InstrumentError(
            f"{path}: expected a table of instruments, found none that can be read ({error.strerror}); "
            "check the path"
        ) from error
    return {**_builtin_table(), **_parse_table(text, str(path))}


def find_spec(instrument_id: str, table: InstrumentTable | None = None) -> InstrumentSpec:
    """Look up the trading rules of an instrument.

    Raises:
        InstrumentError: If neither the id nor a wildcard for its venue is in the table.
    """
    known = load_instruments() if table is None else table
    symbol, _, venue = instrument_id.rpartition(".")
    if not symbol or not venue:
        raise InstrumentError(
            f'instrument "{instrument_id}": expected SYMBOL.VENUE, for example BTCUSDT.BINANCE; '
            "add the venue after a dot"
        )
    if instrument_id in known:
        return known[instrument_id]
    wildcard = known.get(f"*.{venue}")
    if wildcard is not None:
        return replace(wildcard, instrument_id=instrument_id, base=symbol)
    near = difflib.get_close_matches(instrument_id, known, n=1)
    hint = f'did you mean "{near[0]}"? Otherwise ' if near else ""
    raise InstrumentError(
        f'instrument "{instrument_id}": expected one of the {len(known)} known, found none of that name; '
        f"{hint}describe it in a file like adapters/instruments.toml and give it as --instruments FILE"
    )


def with_steps(spec: InstrumentSpec, tick_size: Decimal | None, lot_size: Decimal | None) -> InstrumentSpec:
    """Give an instrument other steps of price and quantity; None keeps its own."""
    changed = replace(spec, tick_size=tick_size or spec.tick_size, lot_size=lot_size or spec.lot_size)
    return replace(changed, min_quantity=max(changed.min_quantity, changed.lot_size))


def make_instrument(instrument_id: str, table: InstrumentTable | None = None) -> NautilusInstrument:
    """Build the engine's instrument from the table.

    Args:
        instrument_id: For example ``BTCUSDT.BINANCE``.
        table: From `load_instruments`; None for the built-in one.

    Raises:
        InstrumentError: If the instrument is unknown.
    """
    return build_instrument(find_spec(instrument_id, table))


def build_instrument(spec: InstrumentSpec) -> NautilusInstrument:
    """Build the engine's instrument from its trading rules."""
    instrument_id = InstrumentId.from_str(spec.instrument_id)
    symbol = Symbol(instrument_id.symbol.value)
    quote = Currency.from_str(spec.quote)
    rules: dict[str, Any] = {
        "price_increment": Price.from_str(str(spec.tick_size)),
        "min_quantity": Quantity.from_str(str(spec.min_quantity)),
        "lot_size": Quantity.from_str(str(spec.lot_size)),
        "margin_init": spec.margin_init_frac,
        "margin_maint": spec.margin_maint_frac,
        # Timestamps of 0 keep a catalog's bytes independent of when it was written.
        "ts_event": 0,
        "ts_init": 0,
        "info": _info(spec),
    }
    if spec.kind is InstrumentKind.EQUITY:
        return Equity(instrument_id, symbol, quote, spec.price_precision, **rules)
    rules["min_notional"] = Money(float(spec.min_notional), quote)
    rules["size_increment"] = rules["lot_size"]
    base = Currency.from_str(spec.base)
    precisions = (spec.price_precision, spec.size_precision)
    if spec.kind is InstrumentKind.PERPETUAL:
        return CryptoPerpetual(instrument_id, symbol, base, quote, quote, False, *precisions, **rules)
    return CurrencyPair(instrument_id, symbol, base, quote, *precisions, **rules)


def spec_of(instrument: NautilusInstrument) -> InstrumentSpec:
    """Read the trading rules back from an instrument that `build_instrument` made.

    Raises:
        InstrumentError: If the instrument was made by something else and its ``info`` lacks our keys.
    """
    info = instrument.info or {}
    missing = [
        key for key in (*_INFO_KEYS, "kind", "base", "min_notional", "min_quantity") if key not in info
    ]
    if missing:
        raise InstrumentError(
            f"instrument {instrument.id}: expected an info with {', '.join(missing)}, found none; "
            "import its bars again with `argonaut data import`"
        )
    return InstrumentSpec(
        instrument_id=str(instrument.id),
        kind=InstrumentKind(info["kind"]),
        base=str(info["base"]),
        quote=instrument.quote_currency.code,
        tick_size=Decimal(str(instrument.price_increment)),
        lot_size=Decimal(str(instrument.size_increment)),
        min_quantity=Decimal(str(info["min_quantity"])),
        min_notional=Decimal(str(info["min_notional"])),
        maker_fee_bps=float(info["maker_fee_bps"]),
        taker_fee_bps=float(info["taker_fee_bps"]),
        shortable=bool(info["shortable"]),
        sector=str(info["sector"]),
        calendar=Calendar(info["calendar"]),
        max_gap_bars=int(info["max_gap_bars"]),
        margin_init_frac=Decimal(str(instrument.margin_init)),
        margin_maint_frac=Decimal(str(instrument.margin_maint)),
    )


def _info(spec: InstrumentSpec) -> dict[str, Any]:
    # Decimals go as strings (exact), all else as it is.
    info: dict[str, Any] = {key: getattr(spec, key) for key in _INFO_KEYS}
    info["calendar"] = spec.calendar.value
    return info | {
        "kind": spec.kind.value,
        "base": spec.base,
        "min_notional": str(spec.min_notional),
        "min_quantity": str(spec.min_quantity),
    }


@cache
def _builtin_table() -> InstrumentTable:
    text = resources.files("adapters").joinpath("instruments.toml").read_text(encoding="utf-8")
    return _parse_table(text, "adapters/instruments.toml")


def _parse_table(text: str, source: str) -> InstrumentTable:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InstrumentError(f"{source}: expected TOML, found a syntax error: {error}; mend it") from error
    entries = document.get("instrument")
    if not isinstance(entries, list) or set(document) != {"instrument"}:
        raise InstrumentError(
            f"{source}: expected [[instrument]] entries only, found keys {sorted(document)}; "
            "see adapters/instruments.toml for the form"
        )
    table: dict[str, InstrumentSpec] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{source}: instrument {number}"
        ids = entry.pop("ids", None)
        if (
            not isinstance(ids, list)
            or not ids
            or not all(isinstance(name, str) and "." in name for name in ids)
        ):
            raise InstrumentError(
                f'{where}: ids = {ids!r}: expected a list like ["BTCUSDT.BINANCE"]; give one'
            )
        for name in ids:
            if name in table:
                raise InstrumentError(f'{where}: "{name}" is described twice; remove one of the two')
            table[name] = _parse_entry(name, entry, f"{where} ({name})")
    return table


def _parse_entry(instrument_id: str, entry: dict[str, Any], where: str) -> InstrumentSpec:
    _check_keys(entry, where)
    values: dict[str, Any] = {key: _parse_value(key, value, where) for key, value in entry.items()}
    values.setdefault("base", instrument_id.rpartition(".")[0])
    return InstrumentSpec(instrument_id=instrument_id, **values)


def _check_keys(entry: dict[str, Any], where: str) -> None:
    for key in entry:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(sorted(_KEYS))}"
            raise InstrumentError(f"{where}: {key}: unknown key{hint}")
    missing = sorted(_KEYS - _OPTIONAL_KEYS - set(entry))
    if missing:
        raise InstrumentError(f"{where}: expected {', '.join(missing)}, found none; add what is missing")


def _parse_value(key: str, value: object, where: str) -> object:
    if key in _DECIMAL_KEYS:
        return _parse_decimal(key, value, where)
    if key in ("kind", "calendar"):
        choices = InstrumentKind if key == "kind" else Calendar
        if value not in list(choices):
            known = ", ".join(f'"{choice}"' for choice in choices)
            raise InstrumentError(f"{where}: {key} = {value!r}: expected one of {known}")
        return choices(str(value))
    if key in ("maker_fee_bps", "taker_fee_bps"):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -100.0 <= value <= 1000.0:
            raise InstrumentError(f"{where}: {key} = {value!r}: expected basis points from -100 to 1000")
        return float(value)
    expected = {"shortable": bool, "max_gap_bars": int}.get(key, str)
    if type(value) is not expected or (key == "max_gap_bars" and isinstance(value, int) and value < 0):
        raise InstrumentError(f"{where}: {key} = {value!r}: expected a {expected.__name__}, not negative")
    return value


def _parse_decimal(key: str, value: object, where: str) -> Decimal:
    number = Decimal("NaN")
    with suppress(InvalidOperation):
        number = Decimal(value) if isinstance(value, str) else number  # a TOML float has lost its decimals
    positive_only = key in ("tick_size", "lot_size")
    if not number.is_finite() or number < 0 or (positive_only and number == 0) or _decimals(number) > 16:
        raise InstrumentError(
            f'{where}: {key} = {value!r}: expected a decimal in quotes, for example "0.01", '
            f"{'above 0' if positive_only else 'not negative'}, of at most 16 decimals"
        )
    return number


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
