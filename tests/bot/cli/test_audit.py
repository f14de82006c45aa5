"""``argonaut audit`` as an operator or a script sees it."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bot.cli.app import main
from bot.exit_codes import ExitCode
from ops.disk import LocalDisk
from ops.journal import FileAnchor, Kind, load_or_create_key
from ops.journal.segments import segment_path
from ops.state_dir import INDEX, JOURNAL, JOURNAL_KEY
from tests.support.journals import open_journal


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    key = load_or_create_key(LocalDisk(), tmp_path / JOURNAL_KEY)
    anchors = [FileAnchor(tmp_path / "anchors")]
    started = 100 * 10**9
    journal, _ = open_journal(LocalDisk(), folder=tmp_path / JOURNAL, key=key, anchors=anchors, ts_ns=started)
    for number in range(5):
        journal.append(Kind.INTENT, {"client_order_id": f"AR{number}"}, (100 + number) * 10**9)
        journal.append(Kind.NOTE, {"text": "x"}, (100 + number) * 10**9)
    journal.close(150 * 10**9)
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any]:
    code = main(["audit", *args, "--json"])
    return code, json.loads(capsys.readouterr().out)


def _break(state_dir: Path) -> None:
    path = segment_path(state_dir / JOURNAL, 1)
    path.write_bytes(path.read_bytes().replace(b'"AR2"', b'"AR7"'))


def test_a_whole_journal_verifies_with_its_anchors(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--state-dir", str(state_dir), "--anchor", str(state_dir / "anchors"))

    code, document = _run(capsys, "verify", *given)

    assert code == ExitCode.OK
    assert (document["is_whole"], document["records"], document["anchors"]) == (True, 12, 2)
    head = document["head"]
    assert main(["audit", "verify", "--state-dir", str(state_dir), "--anchor", head]) == ExitCode.OK
    assert head in capsys.readouterr().out


def test_a_broken_journal_ends_with_70_and_says_where(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _break(state_dir)

    code, document = _run(capsys, "verify", "--state-dir", str(state_dir))

    assert code == ExitCode.AUDIT_CHAIN
    assert (document["is_whole"], document["segment"], document["seq"]) == (
        False,
        "segment-00000001.jsonl",
        6,
    )
    assert document["offset"] > 0
    assert main(["audit", "verify", "--state-dir", str(state_dir)]) == ExitCode.AUDIT_CHAIN
    assert "expected record 6 at byte" in capsys.readouterr().err
    for command in (["show"], ["prove", "8"]):
        assert main(["audit", *command, "--state-dir", str(state_dir)]) == ExitCode.AUDIT_CHAIN


def test_an_anchor_that_is_not_in_the_journal_ends_with_70(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = _run(capsys, "verify", "--state-dir", str(state_dir), "--anchor", "ab" * 32)

    assert code == ExitCode.AUDIT_CHAIN
    assert "cut or rewritten" in document["error"]["message"]


@pytest.mark.parametrize("anchor", ["xyz", "AB" * 32])
def test_an_anchor_that_is_neither_hash_nor_file_is_refused(state_dir: Path, anchor: str) -> None:
    assert main(["audit", "verify", "--state-dir", str(state_dir), "--anchor", anchor]) == ExitCode.CONFIG


def test_a_record_is_proven(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = _run(capsys, "prove", "4", "--state-dir", str(state_dir))

    assert code == ExitCode.OK
    assert json.loads(document["line"])["body"] == {"client_order_id": "AR1"}
    assert document["checkpoint"]["seq"] == 11


@pytest.mark.parametrize("seq", ["12", "99"])
def test_a_record_that_cannot_be_proven_is_a_wrong_argument(
    state_dir: Path, capsys: pytest.CaptureFixture[str], seq: str
) -> None:
    code, _ = _run(capsys, "prove", seq, "--state-dir", str(state_dir))

    assert code == ExitCode.USAGE


def test_records_are_shown_by_kind_time_and_number(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("show", "--state-dir", str(state_dir))

    _, every = _run(capsys, *given)
    _, intents = _run(capsys, *given, "--kind", "intent", "--limit", "2")
    _, later = _run(capsys, *given, "--kind", "intent", "--kind", "stop", "--since", "1970-01-01T00:01:43")

    assert [record["seq"] for record in every] == list(range(1, 13))
    assert [record["body"]["client_order_id"] for record in intents] == ["AR3", "AR4"]
    assert [record["ts_ns"] for record in later] == [103 * 10**9, 104 * 10**9]
    assert main(["audit", *given]) == ExitCode.OK
    assert "intent        client_order_id=AR4" in capsys.readouterr().out


def test_without_a_journal_or_its_public_key_nothing_is_claimed(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--state-dir", str(state_dir / "absent")]) == ExitCode.CONFIG
    (state_dir / JOURNAL_KEY).with_suffix(".pub").unlink()
    assert main(["audit", "verify", "--state-dir", str(state_dir)]) == ExitCode.CONFIG
    assert "give it with --key" in capsys.readouterr().err


def test_a_journal_that_another_key_signed_ends_with_70(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_or_create_key(LocalDisk(), tmp_path / "other.key")

    code, document = _run(
        capsys, "verify", "--state-dir", str(state_dir), "--key", str(tmp_path / "other.pub")
    )

    assert code == ExitCode.AUDIT_CHAIN
    assert "expected a checkpoint signed by key" in document["why"]


def test_an_unfinished_last_write_is_reported_and_is_no_damage(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = segment_path(state_dir / JOURNAL, 1)
    path.write_bytes(path.read_bytes() + b'{"seq":13,')

    code, document = _run(capsys, "verify", "--state-dir", str(state_dir))

    assert (code, document["unfinished_bytes"]) == (ExitCode.OK, 10)


def test_mark_says_after_which_record_a_start_reads_and_makes_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = load_or_create_key(LocalDisk(), tmp_path / JOURNAL_KEY)
    journal, _ = open_journal(LocalDisk(), folder=tmp_path / JOURNAL, key=key, segment_bytes=4_096)
    for _ in range(60):
        journal.append(Kind.NOTE, {"text": "x" * 50}, 1)
    journal.close(2)
    given = ("--state-dir", str(tmp_path))

    code, document = _run(capsys, "mark", *given)

    assert code == ExitCode.OK
    assert 0 < document["seq"] < journal.seq
    (tmp_path / JOURNAL_KEY).unlink()
    assert main(["audit", "mark", *given]) == ExitCode.CONFIG
    assert "expected the key that signs the journal" in capsys.readouterr().err
    assert not (tmp_path / JOURNAL_KEY).exists()


def test_index_that_was_wrong_is_told_and_right_the_next_time(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("verify", "--index", "--state-dir", str(state_dir))
    first = _run(capsys, *given)
    with sqlite3.connect(state_dir / INDEX) as connection:
        connection.execute("INSERT INTO days DEFAULT VALUES")
    connection.close()

    codes = [_run(capsys, *given)[0] for _ in range(2)]

    assert (first[0], first[1]["is_index_right"]) == (ExitCode.OK, True)
    assert codes == [ExitCode.FINDINGS, ExitCode.OK]
