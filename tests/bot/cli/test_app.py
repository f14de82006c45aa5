import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli import app
from bot.cli.app import main
from bot.cli.console import JsonOption
from bot.exit_codes import ExitCode, exit_code_of
from strategies.errors import ArgonautError, ConfigError, DataError, SafetyError, TransientError
from tests.support.command import environment
from tests.support.configs import HOST, write_configs
from tests.support.data import ROOT

type Captured = pytest.CaptureFixture[str]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Plant a command ``fail`` that raises."""

    class Failing(app.Command):
        def load(self) -> object:
            def fail(as_json: JsonOption = False) -> None:
                raise error

            return fail

    monkeypatch.setitem(app.COMMANDS, "fail", Failing("nowhere:fail", "Fails."))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 78),
        (DataError("x"), 65),
        (TransientError("x"), 75),
        (SafetyError("x"), 77),
        (OSError(28, "No space left on device"), 74),
        (ZeroDivisionError("x"), 72),
        (KeyboardInterrupt(), 130),
    ],
)
def test_error_of_a_command_ends_in_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, error: BaseException, code: int
) -> None:
    monkeypatch.delenv("ARGONAUT_DEBUG", raising=False)
    fail_with(monkeypatch, error)

    assert main(["fail"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("argonaut: ")
    assert "Traceback" not in err


def test_error_with_json_is_one_document_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    fail_with(monkeypatch, ConfigError("venue.name: missing"))

    main(["fail", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert document == {"error": {"kind": "ConfigError", "message": "venue.name: missing", "exit_code": 78}}


def test_error_with_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGONAUT_DEBUG", "1")
    fail_with(monkeypatch, ZeroDivisionError("here"))

    with pytest.raises(ZeroDivisionError, match="here"):
        main(["fail"])


def test_every_error_of_ours_has_an_exit_code_of_its_own() -> None:
    kinds = ArgonautError.__subclasses__()

    codes = [exit_code_of(kind("x")) for kind in kinds]

    assert ExitCode.INTERNAL not in codes
    assert len(set(codes)) == len(kinds)


@pytest.mark.parametrize(
    "args", [["confgi"], ["config", "chek"], ["config", "check", "--nope"], ["config", "show"], []]
)
def test_wrong_command_line_is_a_usage_error(capsys: Captured, args: list[str]) -> None:
    assert main(args) == ExitCode.USAGE
    assert "Usage: argonaut" in "".join(capsys.readouterr())


def test_misspelt_command_is_refused_with_a_suggestion(capsys: Captured) -> None:
    main(["confgi"])

    assert "Did you mean 'config'?" in capsys.readouterr().err


def test_help_lists_every_command_and_imports_none() -> None:
    program = (
        "import sys; from bot.cli.app import COMMANDS, main; code = main(['--help']);"
        "loaded = {c.target.split(':')[0] for c in COMMANDS.values()} & set(sys.modules);"
        "heavy = {'nautilus_trader', 'pandas', 'numpy', 'onnxruntime'} & set(sys.modules);"
        "sys.exit(str((code, loaded, heavy)) if code or loaded or heavy else 0)"
    )

    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert shown.returncode == 0, shown.stderr
    assert all(name in shown.stdout for name in app.COMMANDS)


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_every_command_loads_and_explains_itself(capsys: Captured, name: str) -> None:
    assert main([name, "--help"]) == ExitCode.OK
    assert f"argonaut {name}" in capsys.readouterr().out


def test_config_check_of_a_good_file_prints_its_hash(tmp_path: Path, capsys: Captured) -> None:
    path = write_configs(tmp_path)

    assert main(["config", "check", str(path), "--json"]) == ExitCode.OK
    (report,) = json.loads(capsys.readouterr().out)["files"]
    assert report["problems"] == []
    assert len(report["sha256"]) == 64


def test_config_check_of_a_misspelt_key_exits_78_and_says_what_was_meant(
    tmp_path: Path, capsys: Captured
) -> None:
    path = write_configs(tmp_path, host=HOST.replace("speed", "sped"))

    assert main(["config", "check", str(path), str(tmp_path / "strategies" / "one.toml")]) == ExitCode.CONFIG
    out, err = capsys.readouterr()
    assert err == f'{path}: replay.sped: unknown key; did you mean "speed"?\n'
    assert "one.toml: good" in out


def test_config_check_with_json_prints_one_document_even_for_bad_files(
    tmp_path: Path, capsys: Captured
) -> None:
    path = write_configs(tmp_path, host=HOST.replace("speed", "sped"))

    assert main(["config", "check", str(path), "--json"]) == ExitCode.CONFIG
    document = json.loads(capsys.readouterr().out)
    assert document["good"] is False
    assert document["files"][0]["problems"] == [f'{path}: replay.sped: unknown key; did you mean "speed"?']


def test_config_show_prints_defaults_and_the_hash_that_pins_the_run(tmp_path: Path, capsys: Captured) -> None:
    path = write_configs(tmp_path)

    main(["config", "show", str(path)])
    text = capsys.readouterr().out
    main(["config", "show", str(path), "--json"])
    document = json.loads(capsys.readouterr().out)

    assert text.startswith(f"# {path}, sha256 {document['sha256']}\n")
    assert 'host.execution.fill_policy = "next_open"' in text.splitlines()
    assert document["host"]["execution"]["fill_policy"] == "next_open"
    assert document["strategies"][0]["policy"]["lookback"] == 20


def test_config_show_redacts_whatever_is_named_like_a_secret(tmp_path: Path, capsys: Captured) -> None:
    path = write_configs(tmp_path)
    strategy = tmp_path / "strategies" / "one.toml"
    strategy.write_text(
        strategy.read_text().replace("period = 1", 'period = 1, api_key = "hunter2", Token = "hunter3"')
    )

    for args in (["config", "show", str(path)], ["config", "show", str(path), "--json"]):
        main(args)
        out = capsys.readouterr().out

        assert "hunter" not in out
        assert out.count("[redacted]") == 2


def test_training_file_is_checked_and_shown_as_others_are(tmp_path: Path, capsys: Captured) -> None:
    for name in ("training.toml", "training_demo.toml"):
        assert main(["config", "check", str(ROOT / "configs" / name)]) == ExitCode.OK, capsys.readouterr().err
    capsys.readouterr()
    main(["config", "show", str(ROOT / "configs" / "training_demo.toml"), "--json"])
    shown = json.loads(capsys.readouterr().out)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('host = "paper.toml"\nstrategy = "one.toml"\n[ppo]\ngama = 0.9\nclip_coef = -1\n')

    assert shown["training"]["ppo"]["total_timesteps"] > 0
    assert main(["config", "check", str(wrong)]) == ExitCode.CONFIG
    told = capsys.readouterr().err
    assert 'ppo.gama: unknown key; did you mean "gamma"?' in told
    assert "ppo.clip_coef = -1: expected a number above 0" in told
    assert main(["config", "schema", "--training", "--json"]) == ExitCode.OK
    assert "ppo" in json.loads(capsys.readouterr().out)["training"]["properties"]


def test_config_schema_prints_the_reference_file(capsys: Captured) -> None:
    main(["config", "schema"])

    assert capsys.readouterr().out == (ROOT / "configs" / "reference.toml").read_text()


def test_config_schema_with_json_is_a_schema_of_both_files(capsys: Captured) -> None:
    main(["config", "schema", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert document["host"]["additionalProperties"] is False
    assert "capital_quote" in document["strategy"]["properties"]


def test_groups_of_the_help_name_commands_that_there_are_each_once() -> None:
    named = [name for names in app.GROUPS.values() for name in names]

    assert len(named) == len(set(named))
    assert set(named) <= app.COMMANDS.keys()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("ki", {"kill"}), ("jobs ", {"list", "run", "cancel", "log"}), ("jobs run --re", {"--reason"})],
)
def test_shell_completes_commands_and_options(typed: str, expected: set[str]) -> None:
    words = f"argonaut {typed}"
    asked = {"_ARGONAUT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}

    answer = subprocess.run(
        [sys.executable, "-m", "bot.cli.app"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=environment() | asked,
    )

    assert set(answer.stdout.split()) == expected


@pytest.mark.parametrize("name", list(app.COMMANDS))
def test_every_command_names_its_exit_codes(name: str) -> None:
    target = app.COMMANDS[name].load()
    commands = getattr(target, "registered_commands", None)
    functions = [target] if commands is None else [one.callback for one in commands]

    without = [one.__name__ for one in functions if "Exit codes: " not in one.__doc__]

    assert without == []
