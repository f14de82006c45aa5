"""Sessions that have ended: how each went, and what is not whole about one."""

import json
from pathlib import Path

from ops.session_list import newest_sessions

ACCOUNT = """\
ts_event,equity,cash,gross_exposure,net_exposure,drawdown
100,1000.0,1000.0,0.0,0.0,0.0
200,1010.0,900.0,110.0,110.0,0.0
300,990.5,900.0,90.5,90.5,0.0193
"""
TOLD = """\
# Session b

- Ended: signal SIGTERM (exit code 0)
- 442 decisions, 8 executions, 3 round trips, 1922 records
"""


def write_session(state_dir: Path, name: str) -> Path:
    folder = state_dir / "sessions" / name
    folder.mkdir(parents=True)
    pins = {"started_at": "2026-01-01T00:00:00+00:00", "strategies": {"two": "x", "one": "y"}}
    (folder / "pins.json").write_text(json.dumps(pins))
    (folder / "account.csv").write_text(ACCOUNT)
    (folder / "session.md").write_text(TOLD)
    return folder


def test_session_is_told_of_by_its_two_ends(tmp_path: Path) -> None:
    write_session(tmp_path, "a")
    write_session(tmp_path, "b")
    (tmp_path / "sessions" / "latest").symlink_to("b")

    rows = newest_sessions(tmp_path, 10)

    assert [row["session"] for row in rows] == ["b", "a"]
    assert rows[0] == {
        "session": "b",
        "started_at": "2026-01-01T00:00:00+00:00",
        "ended": "signal SIGTERM (exit code 0)",
        "strategies": ["one", "two"],
        "equity": 990.5,
        "profit": -9.5,
        "decisions": 442,
        "fills": 8,
        "trades": 3,
        "first_ts": 100,
        "last_ts": 300,
        "problem": None,
    }
    assert [row["session"] for row in newest_sessions(tmp_path, 1)] == ["b"]


def test_long_account_is_read_at_its_ends_alone(tmp_path: Path) -> None:
    folder = write_session(tmp_path, "a")
    lines = [f"{at},{at / 7},1.0,0.0,0.0,0.5\n" for at in range(1, 20_000)]
    (folder / "account.csv").write_text(ACCOUNT.splitlines(keepends=True)[0] + "".join(lines))

    (row,) = newest_sessions(tmp_path, 10)

    assert (row["first_ts"], row["last_ts"], row["equity"]) == (1, 19_999, 2857.0)


def test_session_that_is_not_whole_says_so(tmp_path: Path) -> None:
    (write_session(tmp_path, "a") / "account.csv").write_text("")
    (write_session(tmp_path, "b") / "pins.json").write_text("[")
    (write_session(tmp_path, "c") / "pins.json").unlink()

    rows = newest_sessions(tmp_path, 10)

    assert all(row["problem"].startswith("not whole: ") for row in rows)
    assert newest_sessions(tmp_path / "nowhere", 10) == []
