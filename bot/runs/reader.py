"""The process that reads what runs have left: ``python -m bot.runs.reader STATE_DIR CATALOG``.

It is the daemon's child, as `ops.api.reader` is: it answers lines on its standard input, and ends when that
does. Curves of trainings come from TensorBoard's reader, beliefs from a regime filter over the catalog,
recorded backtests from Parquet; none of that is ever loaded into a daemon.
"""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from adapters.errors import AdapterError
from bot.config import DataConfig
from ops.log_reading import LOG, Wanted, newest_entries
from ops.model_store import ModelStore, UnknownModelError
from ops.refusals import RefusedError
from ops.runs.folder import OUTPUTS
from ops.session_list import newest_sessions
from strategies.errors import ArgonautError, ConfigError

if TYPE_CHECKING:
    from ml.event_files import EventFiles
    from ops.runs.results import Results

type _Answer = Callable[[Mapping[str, Any]], Any]

_NICENESS = 15
_MOST_MIB = 4096


class RunReader:
    """Answers questions about one state directory.

    Args:
        state_dir: Where runs and models lie.
        catalog: Where bars lie.
    """

    def __init__(self, state_dir: Path, catalog: Path) -> None:
        self._state_dir = state_dir.resolve()
        self._catalog = catalog
        self._read: tuple[Path, EventFiles] | None = None
        self._answers: Mapping[str, _Answer] = {
            "regimes": self._regimes,
            "results": lambda asked: self._results.newest(asked["limit"]),
            "result": lambda asked: self._results.show(asked["key"]),
            "result_curves": lambda asked: self._results.curves(asked["key"]),
            "result_trades": lambda asked: self._results.trades(
                asked["key"], asked["offset"], asked["limit"]
            ),
            "sessions": lambda asked: {"rows": newest_sessions(self._state_dir, asked["limit"])},
            "logs": self._logs,
        }

    def answer(self, asked: Mapping[str, Any]) -> tuple[int, bytes]:
        """Answer one question.

        Returns:
            HTTP status, and the body: a document, or what is wrong as text.
        """
        try:
            answer: _Answer = self._answers.get(asked["question"], self._curves)
            found = answer(asked)
        except UnknownModelError as error:
            return 404, str(error).encode()
        except RefusedError as error:
            return 404 if error.is_unknown else 409, str(error).encode()
        except (ArgonautError, AdapterError) as error:
            return 409, str(error).encode()
        except MemoryError:
            return 409, b"expected a question that fits into memory; ask for less"
        return 200, to_json(found, inf_nan_mode="null")

    @cached_property
    def _results(self) -> "Results":
        from ops.runs.results import Results

        return Results(self._state_dir)

    def _logs(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        wanted = Wanted(asked["level"], text=asked["text"])
        return newest_entries(self._state_dir / LOG, wanted, asked["limit"])

    def _curves(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if find_spec("tensorboard") is None:
            raise ConfigError("curves need what training needs: run `make learn`, then ask again")
        from ml.event_files import EventFiles, answer

        folder = Path(asked["folder"]).resolve()
        if not any(folder.is_relative_to(self._state_dir / name) for name in OUTPUTS):
            raise ConfigError(f"{folder}: expected the output of a run")
        if self._read is None or self._read[0] != folder:
            self._read = folder, EventFiles(folder)
        events = self._read[1]
        events.reload()
        return answer(events, asked)

    def _regimes(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        from adapters.catalog import Catalog
        from bot.learning.regimes import infer_regimes

        bundle = ModelStore(self._state_dir).find(asked["name"], asked["bundle_id"])
        span = _span(asked["start"], asked["end"])
        return infer_regimes(
            bundle,
            Catalog(self._catalog),
            start_ns=span.start_ns,
            end_ns=span.end_ns,
            limit=asked["limit"],
        )


def serve(reader: RunReader, lines: IO[bytes], out: IO[bytes]) -> None:
    """Answer questions until there are no more."""
    for line in lines:
        asked = from_json(line)
        status, body = reader.answer(asked)
        out.write(b"%d %d %d\n%b" % (asked["id"], status, len(body), body))
        out.flush()


def _span(start: str | None, end: str | None) -> DataConfig:
    try:
        return DataConfig(start=start, end=end)
    except ValidationError as error:
        told = [one["msg"].removeprefix("Value error, ") for one in error.errors()]
        raise ConfigError(f"start, end: {'; '.join(told)}") from None


def main() -> None:
    """Serve the state directory and the catalog that the command line names."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the daemon says when to end
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MIB * 2**20, _MOST_MIB * 2**20))
    # What libraries print is no answer.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(RunReader(Path(sys.argv[1]), Path(sys.argv[2])), sys.stdin.buffer, out)


if __name__ == "__main__":
    main()
