"""The log's files: bounded in size and number, and nothing that they cannot take stops anybody."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.log_files import LogFiles


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFiles]:
    """Files of 100 bytes, two of which stay."""
    made = LogFiles(tmp_path / "argonaut.jsonl", file_bytes=100, files_kept=2)
    yield made
    made.close()


def say(log: LogFiles, number: int) -> None:
    log.handle(logging.makeLogRecord({"msg": f"line {number:014d}"}))  # 20 bytes with its end


def test_files_are_bounded_in_size_and_number_and_hold_the_newest(log: LogFiles, tmp_path: Path) -> None:
    for number in range(30):
        say(log, number)

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    names = [tmp_path / f"argonaut.jsonl{end}" for end in (".2", ".1", "")]
    lines = [int(line.split()[1]) for path in names for line in path.read_text().splitlines()]
    assert set(sizes) == {path.name for path in names}
    assert max(sizes.values()) <= 100
    assert lines == list(range(30 - len(lines), 30))
    assert log.lost == 0


def test_log_that_cannot_be_written_or_renamed_raises_nothing_and_goes_on_afterwards(
    log: LogFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "argonaut.jsonl.1").mkdir()
    (tmp_path / "argonaut.jsonl.1" / "in the way").touch()
    (tmp_path / "argonaut.jsonl.2").mkdir()
    (tmp_path / "argonaut.jsonl.2" / "in the way").touch()
    for number in range(10):
        say(log, number)

    assert log.lost > 0
    assert (tmp_path / "argonaut.jsonl").stat().st_size <= 100
    assert capsys.readouterr() == ("", "")

    for name in ("argonaut.jsonl.1", "argonaut.jsonl.2"):
        (tmp_path / name / "in the way").unlink()
        (tmp_path / name).rmdir()
    say(log, 11)
    assert (tmp_path / "argonaut.jsonl").read_text() == "line 00000000000011\n"
