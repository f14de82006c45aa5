"""The whole stack once through, by the command that its user has for it."""

from pathlib import Path

from bot.exit_codes import ExitCode
from tests.support.command import argonaut

STEPS = [
    "data", "backtest", "paper", "page", "kill", "resume", "crash", "recovery", "stop", "journal", "replay",
    "backup",
]  # fmt: skip


def test_quickcheck_goes_through_every_step_within_its_time_and_leaves_what_it_was_told_to(
    tmp_path: Path,
) -> None:
    answer = argonaut("quickcheck", "--keep", tmp_path / "kept", "--json")

    document = answer.document()
    assert answer.code == ExitCode.OK, document
    assert [(step["name"], step["passed"]) for step in document["steps"]] == [(name, True) for name in STEPS]
    assert document["secs"] < 120.0
    assert (tmp_path / "kept" / "var" / "journal").is_dir()
    assert argonaut("quickcheck", "--keep", tmp_path / "kept").code == ExitCode.USAGE
