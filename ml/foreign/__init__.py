"""Policies that another library trained, taken over as ONNX.

Flow: archive → unpacking (confined) → archive → conversion → bundles.

A stable-baselines3 archive holds pickles, and a pickle is a program. It is read by a process that has given
up everything but computing (`ml.foreign.confinement`); what comes back are numbers, and they are believed
only as far as the converted policy answers like the original.
"""

from ml.foreign.archive import ForeignPolicy, read_archive
from ml.foreign.conversion import Reading, foreign_onnx

__all__ = ["ForeignPolicy", "Reading", "foreign_onnx", "read_archive"]
