"""``argonaut version``: what exactly is installed here."""

import platform
from importlib.metadata import version as version_of

from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, emit_text
from bot.exit_codes import ExitCode

_LIBRARIES = ("nautilus_trader", "numpy", "onnxruntime", "pyarrow", "pydantic", "apscheduler", "fastapi")


def version(as_json: JsonOption = False, state_dir: StateDirOption = DEFAULT_STATE_DIR) -> ExitCode:
    """Say which version this is: of the program, of its code byte by byte, and of what it stands on.

    The hash of the code is the one that pins runs and sessions.

    Examples:
      argonaut version --json

    Exit codes: 0 done.
    """
    from bot.pins import code_sha256  # loads the catalog

    document = {
        "argonaut": version_of("argonaut"),
        "code_sha256": code_sha256(),
        "python": platform.python_version(),
        "libraries": {name: version_of(name) for name in _LIBRARIES},
        "platform": platform.platform(),
    }
    if as_json:
        emit_json(document)
        return ExitCode.OK
    lines = [f"argonaut {document['argonaut']}, code {code_sha256()[:12]}, Python {document['python']}"]
    lines += [f"  {name} {version_of(name)}" for name in _LIBRARIES]
    emit_text("\n".join(lines))
    return ExitCode.OK
