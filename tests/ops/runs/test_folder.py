"""The folder of a run: whole documents, and a log that is read while it is written and cut."""

from pathlib import Path

import pytest

from ops.jobs.warden import BoundedLog
from ops.runs.folder import LOG, LogPiece, RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_document_is_read_as_it_was_written_and_what_is_none_is_none(folder: RunFolder) -> None:
    folder.write("result.json", {"a": [1, 2.5]})
    (folder.path / "half.json").write_text('{"a": ')
    (folder.path / "long.json").write_text(f'"{"x" * 2**20}"')

    assert folder.read("result.json") == {"a": [1, 2.5]}
    assert [folder.read(name) for name in ("half.json", "long.json", "none.json")] == [None] * 3


def test_document_that_is_no_json_leaves_the_one_before(folder: RunFolder) -> None:
    folder.write("result.json", 1)

    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.write("result.json", float("nan"))
    assert folder.read("result.json") == 1


def test_log_is_told_line_by_line_and_its_last_line_at_the_end(folder: RunFolder) -> None:
    log = folder.path / LOG
    assert folder.said(0) == LogPiece("", 0, is_cut=False)
    log.write_bytes("one\ntwö".encode())

    first = folder.said(0)
    log.write_bytes("one\ntwö\nthree".encode())
    second = folder.said(first.next_at)
    last = folder.said(second.next_at, is_over=True)

    assert (first, second, last) == (
        LogPiece("one\n", 4, is_cut=False),
        LogPiece("twö\n", 9, is_cut=False),
        LogPiece("three", 14, is_cut=False),
    )


def test_of_a_long_log_the_newest_is_told_and_that_there_was_more(folder: RunFolder) -> None:
    (folder.path / LOG).write_bytes(b"0123456789\n" * 10)

    assert folder.said(0, most_bytes=22) == LogPiece("0123456789\n" * 2, 110, is_cut=True)


def test_log_that_was_cut_in_the_middle_is_told_anew(folder: RunFolder) -> None:
    log = BoundedLog(folder.path / LOG, 400)
    log.write(b"".join(b"line %04d\n" % number for number in range(39)))
    told = folder.said(0)
    log.write(b"line %04d\n" % 39 + b"line %04d\n" % 40)

    again = folder.said(told.next_at)
    log.close()

    assert (told.next_at, told.is_cut, again.is_cut) == (390, False, True)
    assert "bytes left out" in again.text
    assert again.text.endswith("line 0040\n")
