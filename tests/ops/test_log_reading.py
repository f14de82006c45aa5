"""The newest entries of the daemon's log, over its files, as far as they are whole."""

import json
from pathlib import Path

import pytest

import ops.log_reading as reading
from ops.log_reading import Part, Wanted, newest_entries, part_between


def write(path: Path, *numbers: int, level: str = "INFO") -> None:
    lines = [
        json.dumps({"ts": f"2026-01-01T00:00:{n:02}", "level": level, "message": f"line {n}"})
        for n in numbers
    ]
    path.write_text("".join(f"{line}\n" for line in lines))


def told(path: Path, limit: int = 100, **wanted: str) -> list[str]:
    return [entry["message"] for entry in newest_entries(path, Wanted(**wanted), limit)["rows"]]


def test_entries_come_oldest_first_over_files_that_were_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "argonaut.jsonl"
    write(tmp_path / "argonaut.jsonl.2", 1, 2)
    write(tmp_path / "argonaut.jsonl.1", 3)
    write(path, 4, 5)

    assert told(path) == ["line 1", "line 2", "line 3", "line 4", "line 5"]
    assert told(path, 2) == ["line 4", "line 5"]
    assert newest_entries(path, Wanted(), 5)["is_whole"]
    assert not newest_entries(path, Wanted(), 4)["is_whole"]


def test_level_and_text_choose_and_a_line_on_its_way_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "argonaut.jsonl"
    write(tmp_path / "argonaut.jsonl.1", 1, level="ERROR")
    write(path, 2)
    with path.open("a") as file:
        file.write('7\n{"level": "INFO", "mess')

    assert told(path, level="warning") == ["line 1"]
    assert told(path, text="LINE 2") == ["line 2"]
    assert told(path, since="2026-01-01T00:00:02") == ["line 2"]


def test_no_more_than_the_end_of_a_long_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "argonaut.jsonl"
    write(tmp_path / "argonaut.jsonl.1", *range(10))
    write(path, *range(10, 20))
    monkeypatch.setattr(reading, "MOST_BYTES", path.stat().st_size + 100)

    found = newest_entries(path, Wanted(), 100)

    assert [row["message"] for row in found["rows"]] == [f"line {n}" for n in range(9, 20)]
    assert not found["is_whole"]


def test_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert newest_entries(tmp_path / "argonaut.jsonl", Wanted(), 5) == {"rows": [], "is_whole": True}


def test_part_of_a_log_is_what_lies_between_two_times_and_the_newest_where_it_is_long(tmp_path: Path) -> None:
    path = tmp_path / "engine.jsonl"
    lines = [
        f'{{"timestamp":"2026-01-01T00:00:0{n}.000000001Z","message":"{n}"}}\n'.encode() for n in range(6)
    ]
    path.with_name("engine.jsonl.1").write_bytes(b"".join(lines[:2]))
    path.write_bytes(b"".join(lines[2:]) + b"no JSON\n")
    since, until = "2026-01-01T00:00:01.000", "2026-01-01T00:00:04.000"

    assert part_between(path, since, until, 1_000) == Part(b"".join(lines[1:5]), is_whole=True)
    assert part_between(path, since, until, 2 * len(lines[0])) == Part(b"".join(lines[3:5]), is_whole=False)
    assert part_between(tmp_path / "none", since, until, 1_000) == Part(b"", is_whole=True)
