"""What a training run sees: bars of several instruments in step, their features, and a hash of both.

Flow: catalog → **datasets** → labels, splits → environment, trainers.

Bars come in as arrays, whoever read them; features are computed by the very pipeline that trades, bar by
bar, so row *t* knows bars up to and including *t* only. Windows are views: no bar is copied for them.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from strategies.config import FeaturesConfig
from strategies.errors import DataError
from strategies.features import FeaturePipeline
from strategies.market import BarRow, Float32s, Floats, Panel

type Ints = npt.NDArray[np.int64]
type Bools = npt.NDArray[np.bool_]

FORMAT = "argonaut dataset 1"
"""Version of the file and of the bytes that are hashed."""

_ARRAYS: Mapping[str, str] = {
    "ts_event": "<i8",
    "open": "<f8",
    "close": "<f8",
    "volume": "<f8",
    "present": "|b1",
    "features": "<f4",
    "beliefs": "<f4",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BarColumns(Protocol):
    """Bars of one series in time order, as a catalog hands them out; see `Bars`."""

    @property
    def ts_event(self) -> Ints:
        """Close times, UTC nanoseconds, shape (T,)."""

    @property
    def open(self) -> Floats:
        """Quote currency, shape (T,); so are high, low and close."""

    @property
    def high(self) -> Floats:
        """See open."""

    @property
    def low(self) -> Floats:
        """See open."""

    @property
    def close(self) -> Floats:
        """See open."""

    @property
    def volume(self) -> Floats:
        """Base units, shape (T,)."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one series in time order."""

    ts_event: Ints
    """Close times, UTC nanoseconds, shape (T,)."""
    open: Floats
    """Quote currency, shape (T,); so are high, low and close."""
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    """Base units, shape (T,)."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the bars come from; part of the manifest and of the hash."""

    interval: str
    """In Nautilus's words, for example ``1-MINUTE``."""
    adjustment: str = "none"
    """What was done to prices for splits and dividends."""
    vendor: str = "unknown"
    files: tuple[str, ...] = ()
    """SHA-256 of each source, or its name where no hash is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Bars in step, features and, where there is a regime model, its filtered beliefs.

    Where an instrument has no bar at a time its price stands still (open = close = last close, volume
    0) and its features stay as they were, exactly as the decision pipeline has it.
    """

    instruments: tuple[str, ...]
    provenance: Provenance
    columns: tuple[str, ...]
    """Names of the F features."""
    schema_sha256: str
    """Hash of the feature manifest."""
    lookback: int
    """Rows of the observation window, L."""
    ts_event: Ints
    """Close times, UTC nanoseconds, shape (T,)."""
    open: Floats
    """Quote currency, shape (T, N); NaN before the first bar of an instrument; so is close."""
    close: Floats
    volume: Floats
    """Base units, shape (T, N)."""
    present: Bools
    """Whether a bar of the instrument closed at that time, shape (T, N)."""
    features: Float32s
    """Shape (T, N, F); NaN before the warm-up."""
    beliefs: Float32s
    """What a policy is shown of the regime model's beliefs, shape (T, B); B = 0 where it is shown none."""

    def __len__(self) -> int:
        return len(self.ts_event)

    @property
    def num_instruments(self) -> int:
        """N."""
        return len(self.instruments)

    @property
    def num_features(self) -> int:
        """F."""
        return int(self.features.shape[2])

    @property
    def num_beliefs(self) -> int:
        """B."""
        return int(self.beliefs.shape[1])

    @property
    def windows(self) -> Float32s:
        """All observation windows, oldest row first, shape (T - L + 1, L, N, F): a read-only view.

        Window *i* ends with row ``i + L - 1`` and knows nothing later.
        """
        if len(self) < self.lookback:
            raise DataError(
                f"expected at least {self.lookback} rows, one window, found {len(self)}; take a longer span"
            )
        view = np.lib.stride_tricks.sliding_window_view(self.features, self.lookback, axis=0)
        return np.moveaxis(view, -1, 1)

    @property
    def decidable(self) -> Bools:
        """Rows whose window is full of rows that were ready, shape (T,): a policy may decide there."""
        ready = np.isfinite(self.features).all(axis=(1, 2)) & np.isfinite(self.beliefs).all(axis=1)
        count = np.cumsum(ready, dtype=np.int64)
        count[self.lookback :] -= count[: -self.lookback].copy()
        return np.asarray(count == self.lookback)

    def slice(self, start: int, stop: int) -> Self:
        """Rows from start to before stop; arrays are views."""
        rows = slice(start, stop)
        return replace(self, **{name: getattr(self, name)[rows] for name in _ARRAYS})

    def with_beliefs(self, beliefs: npt.ArrayLike) -> Self:
        """Add what is shown of the filtered beliefs of a regime model.

        Args:
            beliefs: Shape (T, B); row *t* may depend on rows up to *t* only; NaN where there is none yet.

        Raises:
            DataError: If there is not one row per bar time.
        """
        array = np.ascontiguousarray(beliefs, dtype=np.float32)
        if array.ndim != 2 or len(array) != len(self):
            raise DataError(f"expected beliefs of shape ({len(self)}, B), found {array.shape}")
        return replace(self, beliefs=array)

    def content_sha256(self) -> str:
        """Hash of all that is in it, byte by byte: equal hash, equal training data."""
        digest = hashlib.sha256(_header(self))
        for name, kind in _ARRAYS.items():
            digest.update(np.ascontiguousarray(getattr(self, name), dtype=kind).tobytes())
        return digest.hexdigest()

    def manifest(self) -> dict[str, Any]:
        """What a reader wants to know of the data, as plain JSON values."""
        return {
            "instruments": list(self.instruments),
            "interval": self.provenance.interval,
            "adjustment": self.provenance.adjustment,
            "vendor": self.provenance.vendor,
            "files": list(self.provenance.files),
            "first_ns": int(self.ts_event[0]),
            "last_ns": int(self.ts_event[-1]),
            "rows": len(self),
            "decidable_rows": int(self.decidable.sum()),
            "columns": list(self.columns),
            "lookback": self.lookback,
            "num_beliefs": self.num_beliefs,
            "schema_sha256": self.schema_sha256,
            "content_sha256": self.content_sha256(),
        }

    def save(self, path: Path) -> None:
        """Write the data as one file of plain arrays, wholly or not at all; equal data, equal bytes."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
                header = json.loads(_header(self)) | {"content_sha256": self.content_sha256()}
                _add(archive, "header.json", json.dumps(header, sort_keys=True).encode())
                for name, kind in _ARRAYS.items():
                    buffer = io.BytesIO()
                    array = np.ascontiguousarray(getattr(self, name), dtype=kind)
                    np.lib.format.write_array(buffer, array, allow_pickle=False)
                    _add(archive, f"{name}.npy", buffer.getvalue())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DataError: If the file is missing, damaged, or not what its hash says.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                header = json.loads(archive.read("header.json"))
                arrays = {name: _array(archive, name) for name in _ARRAYS}
            found = cls(
                instruments=tuple(header["instruments"]),
                provenance=Provenance(
                    **header["provenance"] | {"files": tuple(header["provenance"]["files"])}
                ),
                columns=tuple(header["columns"]),
                schema_sha256=header["schema_sha256"],
                lookback=header["lookback"],
                **arrays,
            )
            expected = header["content_sha256"]
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{path}: expected a dataset, but it cannot be read: {error}; build it again"
            ) from error
        if found.content_sha256() != expected:
            raise DataError(
                f"{path}: expected data with the hash {expected}, found other bytes; build it again"
            )
        return found


def make_dataset(
    series: Mapping[str, BarColumns], features: FeaturesConfig, provenance: Provenance
) -> Dataset:
    """Put the bars of several instruments in step and compute their features.

    Args:
        series: Bars by instrument id, in the order of every vector.
        features: The strategy's feature section.
        provenance: Where the bars come from.

    Raises:
        ConfigError: If a feature is unknown or wrong.
        DataError: If there are no bars, or one is malformed or out of order.
    """
    if not series or not all(len(bars.ts_event) for bars in series.values()):
        empty = [name for name, bars in series.items() if not len(bars.ts_event)]
        raise DataError(
            f"expected bars of every instrument, found none of {empty or 'any'}; import them first"
        )
    for name, bars in series.items():
        if not (np.diff(bars.ts_event) > 0).all():
            raise DataError(f"{name}: expected bars in order of time, once each; run `argonaut data verify`")
    pipeline = FeaturePipeline(features, len(series))
    columns = list(series.values())
    ts_event = np.unique(np.concatenate([bars.ts_event for bars in columns]))
    shape = (len(ts_event), len(columns))
    values = np.empty((*shape, pipeline.num_features), dtype=np.float32)
    for row, panel in enumerate(panels(ts_event, columns)):
        values[row] = pipeline.update(panel).values
    dataset = Dataset(
        instruments=tuple(series),
        provenance=provenance,
        columns=pipeline.columns,
        schema_sha256=pipeline.schema_sha256,
        lookback=features.lookback,
        ts_event=ts_event,
        open=np.full(shape, np.nan),
        close=np.full(shape, np.nan),
        volume=np.zeros(shape),
        present=np.zeros(shape, dtype=np.bool_),
        features=values,
        beliefs=np.zeros((len(ts_event), 0), dtype=np.float32),
    )
    for index, bars in enumerate(columns):
        _fill(dataset, index, bars)
    return dataset


def panels(ts_event: Ints, series: Sequence[BarColumns]) -> Iterator[Panel]:
    """The bars of each close time, None where an instrument has none.

    Args:
        ts_event: All close times, in order.
        series: One for each instrument.
    """
    feeds = [map(BarRow, *(getattr(bars, name).tolist() for name in BarRow._fields)) for bars in series]
    heads = [next(feed, None) for feed in feeds]
    for ts in ts_event.tolist():
        row: list[BarRow | None] = []
        for index, head in enumerate(heads):
            if head is None or head.ts_event != ts:
                row.append(None)
                continue
            row.append(head)
            heads[index] = next(feeds[index], None)
        yield Panel(ts, tuple(row))


def _fill(dataset: Dataset, index: int, bars: BarColumns) -> None:
    rows = np.searchsorted(dataset.ts_event, bars.ts_event)
    dataset.present[rows, index] = True
    dataset.volume[rows, index] = bars.volume
    # The newest bar at or before each row; -1 before the first.
    newest = np.searchsorted(bars.ts_event, dataset.ts_event, side="right") - 1
    known = newest >= 0
    dataset.close[known, index] = bars.close[newest[known]]
    dataset.open[:, index] = dataset.close[:, index]
    dataset.open[rows, index] = bars.open


def _header(dataset: Dataset) -> bytes:
    provenance = dataset.provenance
    header = {
        "format": FORMAT,
        "instruments": list(dataset.instruments),
        "provenance": {
            "interval": provenance.interval,
            "adjustment": provenance.adjustment,
            "vendor": provenance.vendor,
            "files": list(provenance.files),
        },
        "columns": list(dataset.columns),
        "schema_sha256": dataset.schema_sha256,
        "lookback": dataset.lookback,
        "shape": [*dataset.features.shape, dataset.num_beliefs],
    }
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array
