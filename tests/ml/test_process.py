"""Memory that a step of training frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from ml.process import prepare_process

def step():
    return sum(float(part[-1]) for part in [torch.zeros(2_000_000) for _ in range(6)])

if {prepared}:
    prepare_process()
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep freed memory")
def test_pages_of_freed_tensors_are_not_faulted_in_again() -> None:
    faults = {}
    for prepared in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", STEPS.format(prepared=prepared)],
            check=True,
            capture_output=True,
            text=True,
        )
        faults[prepared] = int(done.stdout)

    # 40 steps of 48 MB are half a million pages of 4 KiB.
    assert faults[True] < 0.1 * faults[False]
