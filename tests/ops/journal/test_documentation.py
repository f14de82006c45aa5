"""The check that the documentation prints, as an independent witness: it shares no code with ours."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops.disk import LocalDisk
from ops.journal import Kind
from ops.journal.segments import segment_path
from tests.support.journals import open_journal

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "JOURNAL.md"


def _check(folder: Path) -> subprocess.CompletedProcess[str]:
    found = re.search(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert found is not None
    return subprocess.run(
        [sys.executable, "-c", found[1], str(folder)], check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize("is_closed", [True, False])
def test_the_printed_check_agrees_with_ours(tmp_path: Path, is_closed: bool) -> None:
    journal, writer = open_journal(LocalDisk(), folder=tmp_path, segment_bytes=3_000)
    for number in range(40):
        journal.append(Kind.NOTE, {"text": 'a "quoted",\n"hash":"text"', "n": number / 7}, number)
    writer.step()
    if is_closed:
        journal.close(99)

    done = _check(tmp_path)

    assert (done.returncode, done.stdout.split()) == (0, [str(journal.seq), journal.head])


def test_the_printed_check_finds_a_changed_record(tmp_path: Path) -> None:
    journal, _ = open_journal(LocalDisk(), folder=tmp_path)
    for number in range(5):
        journal.append(Kind.NOTE, {"n": number}, number)
    journal.close(99)
    path = segment_path(tmp_path, 1)
    path.write_bytes(path.read_bytes().replace(b'{"n":3}', b'{"n":4}'))

    done = _check(tmp_path)

    assert done.returncode == 1
    assert "record 5 is not what was written" in done.stderr
