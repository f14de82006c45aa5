"""What systemd forbids is noticed before a run fails of it."""

import subprocess
import sys

import pytest

from ops.runs.confinement import may_make_code
from tests.support.data import ROOT

_PR_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1


def test_process_that_nobody_confines_may_make_code() -> None:
    assert may_make_code()


def test_process_under_memory_deny_write_execute_may_not() -> None:
    program = (
        "import ctypes\n"
        "from ops.runs.confinement import may_make_code\n"
        f"refused = ctypes.CDLL(None).prctl({_PR_SET_MDWE}, {_REFUSE_EXEC_GAIN}, 0, 0, 0)\n"
        "print('too old' if refused else may_make_code())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    if done.stdout.strip() == "too old":
        pytest.skip("the kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.stdout.strip() == "False"
