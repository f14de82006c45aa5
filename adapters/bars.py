"""Many bars of one series as columns: exact integers for storage, floats for reading.

A catalog stores decimals. `BarColumns` holds the same numbers as integers (ticks and lots), so that
comparing, hashing and writing are exact; `BarArrays` holds them as the floats that ``float(bar.close)``
gives, so that what research reads is, to the bit, what a strategy was given.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from nautilus_trader.model import Bar, BarType, QuoteTick
from nautilus_trader.persistence import BarDataWrangler, QuoteTickDataWrangler

from adapters.instruments import NautilusInstrument

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]

PRICE_FIELDS = ("open", "high", "low", "close")
VALUE_FIELDS = (*PRICE_FIELDS, "volume")

_ENGINE_DECIMALS = 16
_DECIMAL = pa.decimal128(38, _ENGINE_DECIMALS)
_TIMESTAMP = pa.timestamp("ns", tz="UTC")
_HASH_HEADER = b"argonaut bars 1\n"


@dataclass(frozen=True, slots=True)
class BarArrays:
    """Bars of one series as floats, equal to the bit to what the engine hands to a strategy."""

    ts_event: Ints
    """Close times, UTC nanoseconds, shape (T,)."""
    open: Floats
    """Quote currency, shape (T,); so are high, low and close."""
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    """Base units, shape (T,)."""

    def __len__(self) -> int:
        return len(self.ts_event)


@dataclass(frozen=True, slots=True, eq=False)
class BarColumns:
    """Bars of one series as exact integers, in time order unless said otherwise."""

    ts_event: Ints
    """Close times, UTC nanoseconds, shape (T,)."""
    open: Ints
    """In units of 10^-price_precision, shape (T,); so are high, low and close."""
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    """In units of 10^-size_precision, shape (T,)."""
    price_precision: int
    size_precision: int

    def __len__(self) -> int:
        return len(self.ts_event)

    @property
    def precisions(self) -> tuple[int, int]:
        """Decimals of prices and of volumes."""
        return self.price_precision, self.size_precision

    def select(self, rows: slice | npt.NDArray[np.bool_] | Ints) -> Self:
        """Take some rows."""
        return type(self)(
            self.ts_event[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
            self.volume[rows],
            self.price_precision,
            self.size_precision,
        )

    def equals(self, other: "BarColumns") -> bool:
        """Tell whether all numbers are the same."""
        return bool(
            self.precisions == other.precisions and len(self) == len(other) and not self.differs(other).any()
        )

    def differs(self, other: "BarColumns") -> npt.NDArray[np.bool_]:
        """Mark the rows in which two runs of bars of equal length differ, shape (T,)."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("ts_event", *VALUE_FIELDS))
        marked = np.zeros(len(self), dtype=np.bool_)
        for ours, theirs in pairs:
            marked |= ours != theirs
        return marked

    def to_arrays(self) -> BarArrays:
        """Convert to floats, with the rounding of the engine's own prices."""
        return BarArrays(
            self.ts_event,
            as_engine_floats(self.open, self.price_precision),
            as_engine_floats(self.high, self.price_precision),
            as_engine_floats(self.low, self.price_precision),
            as_engine_floats(self.close, self.price_precision),
            as_engine_floats(self.volume, self.size_precision),
        )

    def to_table(self, bar_type: str) -> pa.Table:
        """Convert to the Arrow form that the engine's catalog writes for bars."""
        stamps = _as_stamps(self.ts_event)
        columns = [_as_decimals(getattr(self, name), self.price_precision) for name in PRICE_FIELDS]
        columns += [_as_decimals(self.volume, self.size_precision), stamps, stamps]
        return pa.Table.from_arrays(
            columns, schema=bar_schema(bar_type, self.price_precision, self.size_precision)
        )

    def to_bars(self, bar_type: str) -> list[Bar]:
        """Convert to the engine's bars."""
        if not len(self):
            return []
        wrangler = BarDataWrangler(bar_type, self.price_precision, self.size_precision)
        bars: list[Bar] = wrangler.process_record_batch_bytes(_ipc_bytes(self.to_table(bar_type)))
        return bars

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Read the Arrow form of a catalog's bars.

        Raises:
            ValueError: If the schema is not that of bars, or a number has more decimals than it declares.
        """
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        try:
            price_precision, size_precision = (
                int(metadata["price_precision"]),
                int(metadata["size_precision"]),
            )
            return cls(
                _as_int64s(table["ts_event"]),
                _as_integers(table["open"], price_precision),
                _as_integers(table["high"], price_precision),
                _as_integers(table["low"], price_precision),
                _as_integers(table["close"], price_precision),
                _as_integers(table["volume"], size_precision),
                price_precision,
                size_precision,
            )
        except (KeyError, pa.ArrowInvalid) as error:
            raise ValueError(f"not a table of bars: {error}") from error

    @classmethod
    def concat(cls, parts: Sequence["BarColumns"]) -> Self:
        """Join runs of bars of one precision, in the order given."""
        precisions = {part.precisions for part in parts}
        if len(precisions) != 1:
            raise ValueError(f"expected bars of one precision, found {sorted(precisions)}")
        return cls(
            np.concatenate([part.ts_event for part in parts]),
            np.concatenate([part.open for part in parts]),
            np.concatenate([part.high for part in parts]),
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.close for part in parts]),
            np.concatenate([part.volume for part in parts]),
            *precisions.pop(),
        )


def bar_schema(bar_type: str, price_precision: int, size_precision: int) -> pa.Schema:
    """Arrow schema of a catalog's file of bars, metadata included."""
    values = [pa.field(name, _DECIMAL, nullable=False) for name in VALUE_FIELDS]
    stamps = [pa.field(name, _TIMESTAMP, nullable=False) for name in ("ts_event", "ts_init")]
    metadata = {
        "bar_type": bar_type,
        "instrument_id": str(BarType.from_str(bar_type).instrument_id),
        "price_precision": str(price_precision),
        "size_precision": str(size_precision),
        "type_name": "Bar",
    }
    return pa.schema(values + stamps, metadata=metadata)


def bars_to_arrays(bars: Sequence[Bar]) -> BarArrays:
    """Convert the engine's bars to floats."""
    return BarArrays(
        np.fromiter((bar.ts_event for bar in bars), np.int64, len(bars)),
        _floats_of(bars, "open"),
        _floats_of(bars, "high"),
        _floats_of(bars, "low"),
        _floats_of(bars, "close"),
        _floats_of(bars, "volume"),
    )


def open_quotes(
    bars: Sequence[Bar] | BarArrays,
    interval_ns: int,
    instrument: NautilusInstrument,
    *,
    delay_ns: int = 1,
    size_base: int = 1_000_000_000,
) -> list[QuoteTick]:
    """Make one quote per bar at its open, so that a decision at one close fills at the next open.

    Bid and ask are the open; the time is just after the bar opened, which is after every decision at the
    previous close and before whatever the bar's own prices do.

    Args:
        bars: Bars of one series in time order.
        interval_ns: Length of a bar, nanoseconds.
        instrument: Whose precision the quotes take.
        delay_ns: From the open to the quote: the time that an order takes to arrive.
        size_base: Displayed on both sides, base units.

    Source:
        The engine has no next-open fill of its own; see "Next-open recipe" in the backtest guide.
    """
    if isinstance(bars, BarArrays):
        stamps, opens = bars.ts_event, bars.open
    else:
        stamps = np.fromiter((bar.ts_event for bar in bars), np.int64, len(bars))
        opens = _floats_of(bars, "open")
    if not len(stamps):
        return []
    prices = _as_decimals(as_units(opens, instrument.price_precision), instrument.price_precision)
    sizes = _as_decimals(np.full(len(stamps), size_base, np.int64), 0)
    times = _as_stamps(stamps - interval_ns + delay_ns)
    identity = str(instrument.id)
    columns = [prices, prices, sizes, sizes, times, times]
    fields = [pa.field(name, _DECIMAL, nullable=False) for name in _QUOTE_VALUES]
    fields += [pa.field(name, _TIMESTAMP, nullable=False) for name in ("ts_event", "ts_init")]
    metadata = {
        "instrument_id": identity,
        "price_precision": str(instrument.price_precision),
        "size_precision": str(instrument.size_precision),
        "type_name": "QuoteTick",
    }
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=metadata))
    wrangler = QuoteTickDataWrangler(identity, instrument.price_precision, instrument.size_precision)
    quotes: list[QuoteTick] = wrangler.process_record_batch_bytes(_ipc_bytes(table))
    return quotes


_QUOTE_VALUES = ("bid_price", "ask_price", "bid_size", "ask_size")


class ContentHash:
    """SHA-256 over the bars of one series, whatever files they lie in.

    Columns are hashed apart (times as int64, values as decimals of 16 places in 128 bits, all little
    endian) and their digests together with interval and adjustment, so the hash of a series does not
    depend on how it was cut into parts.

    Args:
        interval: For example ``1-MINUTE``.
        adjustment: For example ``none``.
    """

    def __init__(self, interval: str, adjustment: str) -> None:
        self._header = _HASH_HEADER + f"{interval}\n{adjustment}\n".encode()
        self._columns = {name: hashlib.sha256() for name in ("ts_event", *VALUE_FIELDS)}

    def update(self, bars: BarColumns) -> None:
        """Add the next run of bars."""
        self._columns["ts_event"].update(np.ascontiguousarray(bars.ts_event, "<i8").tobytes())
        for name in VALUE_FIELDS:
            precision = bars.size_precision if name == "volume" else bars.price_precision
            self._columns[name].update(_decimal_words(getattr(bars, name), precision).tobytes())

    def hexdigest(self) -> str:
        """Digest of all bars so far."""
        return hashlib.sha256(
            self._header + b"".join(column.digest() for column in self._columns.values())
        ).hexdigest()


def content_sha256(parts: Iterable[BarColumns], *, interval: str, adjustment: str) -> str:
    """Hash the bars of one series, given in time order; see `ContentHash`."""
    content = ContentHash(interval, adjustment)
    for part in parts:
        content.update(part)
    return content.hexdigest()


def as_units(values: Floats, precision: int) -> Ints:
    """Round floats to integers in units of 10^-precision."""
    units: Ints = np.rint(values * 10.0**precision).astype(np.int64)
    return units


def as_floats(units: Ints, precision: int) -> Floats:
    """Convert integers in units of 10^-precision to the nearest floats."""
    return np.asarray(units / 10.0**precision, dtype=np.float64)


def as_engine_floats(units: Ints, precision: int) -> Floats:
    """Convert integers in units of 10^-precision to the floats that the engine gives.

    The engine divides a 16-decimal integer, rounded to a float first; in one price of four the result
    is the neighbour of the nearest float.
    """
    scaled = units * 10.0 ** (_ENGINE_DECIMALS - precision)
    return np.asarray(scaled / 10.0**_ENGINE_DECIMALS, dtype=np.float64)


def _floats_of(bars: Sequence[Bar], name: str) -> Floats:
    return np.fromiter(map(float, map(attrgetter(name), bars)), np.float64, len(bars))


def _as_decimals(units: Ints, precision: int) -> pa.Array:
    words = _decimal_words(units, precision)
    return pa.Array.from_buffers(_DECIMAL, len(units), [None, pa.py_buffer(words)])


def _decimal_words(units: Ints, precision: int) -> npt.NDArray[np.int64]:
    """Raise units to 16 decimals: 128-bit integers as (low, high) little-endian words, shape (T, 2)."""
    narrow = _int128_words(units)
    array = pa.Array.from_buffers(pa.decimal128(38, precision), len(units), [None, pa.py_buffer(narrow)])
    return _words_of(array.cast(_DECIMAL))


def _int128_words(units: Ints) -> npt.NDArray[np.int64]:
    words = np.empty((len(units), 2), dtype="<i8")
    words[:, 0] = units
    words[:, 1] = units >> 63
    return words


def _as_integers(column: pa.ChunkedArray, precision: int) -> Ints:
    narrow = column.combine_chunks().cast(pa.decimal128(38, precision))
    words = _words_of(narrow)
    low = words[:, 0]
    if (words[:, 1] != low >> 63).any():
        raise pa.ArrowInvalid("a number needs more than 64 bits")
    return np.ascontiguousarray(low)


def _as_stamps(times: Ints) -> pa.Array:
    # From the buffer: Arrow's own conversion from numpy imports pandas, 50 MB that a daemon has no use for.
    return pa.Array.from_buffers(
        _TIMESTAMP, len(times), [None, pa.py_buffer(np.ascontiguousarray(times, "<i8"))]
    )


def _as_int64s(column: pa.ChunkedArray) -> Ints:
    array = pa.concat_arrays(column.cast(pa.int64()).chunks)
    words = np.frombuffer(array.buffers()[1], dtype="<i8")
    return words[array.offset : array.offset + len(array)]


def _words_of(array: Any) -> npt.NDArray[np.int64]:
    words = np.frombuffer(array.buffers()[1], dtype="<i8").reshape(-1, 2)
    return words[array.offset : array.offset + len(array)]


def _ipc_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    # One batch: the wranglers read the first batch of a stream only.
    batch = table.combine_chunks().to_batches()[0]
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded
