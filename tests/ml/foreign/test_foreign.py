"""Policies of stable-baselines3: taken over where they answer alike, and never let loose.

Archives that we made are opened here, as the confined process does; those of strangers only there.
"""

import io
import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from torch import nn

from ml.foreign import ForeignPolicy, Reading, archive, foreign_onnx, read_archive
from ml.foreign.archive import read_answer
from ml.foreign.unpacking import answer_of
from strategies.config import ActionMap
from strategies.errors import ConfigError
from strategies.market import Float32s
from strategies.policies.onnx import open_session
from tests.support.foreign import FLAT, PARTS, Deed, Halved, box, poison, reading, save, trained

ASKED = 10_000
SIMPLEX = box(3)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that fits `reading`."""
    return save(trained(PARTS, SIMPLEX), tmp_path_factory.mktemp("good") / "ppo.zip")


@pytest.fixture(scope="module")
def policy(good: Path) -> ForeignPolicy:
    """What is in it, read as a stranger's is."""
    return read_archive(good)


def opened(path: Path) -> ForeignPolicy:
    """What an archive of our own holds."""
    return read_answer(path, answer_of(path.read_bytes()))


def observations(rng: np.random.Generator) -> dict[str, Float32s]:
    return {
        name: rng.standard_normal((ASKED, *shape), dtype=np.float32) * 3.0
        for name, shape in reading().inputs.items()
    }


@pytest.mark.parametrize(
    ("observed", "actions", "kwargs", "wanted"),
    [
        pytest.param(PARTS, box(3, limit=1.0), {"activation_fn": nn.ReLU}, reading(), id="parts, cut"),
        pytest.param(FLAT, box(3, limit=1e6), {}, reading(), id="flat"),
        pytest.param(FLAT, box(3, limit=2.0), {"net_arch": []}, reading(), id="flat, one layer"),
        pytest.param(
            spaces.Dict({"window": box(4, 2, 3), "portfolio": box(9), "gamma": box(2)}),
            spaces.MultiDiscrete([3, 3]),
            {"net_arch": {"pi": [8], "vf": [32, 32]}},
            reading(action_map=ActionMap.WEIGHTS),
            id="gamma, short flat long",
        ),
    ],
)
def test_converted_policy_answers_what_the_original_does(
    tmp_path: Path, observed: spaces.Space[Any], actions: spaces.Space[Any], kwargs: Any, wanted: Reading
) -> None:
    model = trained(observed, actions, **kwargs)
    fed = observations(np.random.default_rng(5))
    shown: Any = fed
    if not isinstance(observed, spaces.Dict):
        shown = np.concatenate([part.reshape(ASKED, -1) for part in fed.values()], axis=1)
    elif "gamma" in observed.spaces:
        shown = {"gamma" if name == "beliefs" else name: part for name, part in fed.items()}
    expected = np.asarray(model.predict(shown, deterministic=True)[0], dtype=np.float32)
    if isinstance(actions, spaces.MultiDiscrete):
        expected = (expected - 1.0) / 2.0

    content = foreign_onnx(opened(save(model, tmp_path / "ppo.zip")), wanted)

    found = open_session(Path("policy.onnx"), content).run(["action"], fed)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert (expected.std(axis=0) > 0.01).all()


def test_equal_archives_make_equal_bytes(policy: ForeignPolicy, good: Path) -> None:
    assert foreign_onnx(policy, reading()) == foreign_onnx(opened(good), reading())


def test_policy_that_answers_otherwise_than_where_it_came_from_is_refused(policy: ForeignPolicy) -> None:
    with pytest.raises(ConfigError, match="answers otherwise than the original"):
        foreign_onnx(replace(policy, activation="ReLU"), reading())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (reading(lookback=5), r"observations: expected window \(5, 2, 3\).*found .*window \(4, 2, 3\)"),
        (reading(num_beliefs=0), "observations: expected window .* found beliefs"),
        (reading(action_map=ActionMap.TANH_LEVERAGE), "actions: expected 2 numbers for 2 instruments"),
    ],
)
def test_policy_of_another_strategy_is_refused(policy: ForeignPolicy, wanted: Reading, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        foreign_onnx(policy, wanted)


@pytest.mark.parametrize(
    ("observed", "actions", "kwargs", "message"),
    [
        pytest.param(PARTS, box(3), {"activation_fn": nn.ELU}, "Tanh or ReLU between.*ELU", id="layer"),
        pytest.param(
            PARTS, box(3), {"activation_fn": Halved}, "Tanh or ReLU between.*Halved", id="own layer"
        ),
        pytest.param(FLAT, spaces.Discrete(4), {}, "short, flat, long.*Discrete", id="choices"),
        pytest.param(spaces.Discrete(3), SIMPLEX, {}, "read as they are, found .*Discrete", id="coded"),
    ],
)
def test_archive_of_something_else_says_what_it_is(
    tmp_path: Path, observed: spaces.Space[Any], actions: spaces.Space[Any], kwargs: Any, message: str
) -> None:
    path = save(trained(observed, actions, **kwargs), tmp_path / "ppo.zip")

    with pytest.raises(ConfigError, match=message):
        foreign_onnx(opened(path), reading())


def test_archive_of_which_a_part_cannot_be_read_is_refused_not_completed(tmp_path: Path, good: Path) -> None:
    # The library itself would warn and take its defaults: a network with other layers, or other activations.
    path = poison(copied(good, tmp_path), Deed(getattr, "", "renamed_since"))

    with pytest.raises(ConfigError, match="Could not deserialize object policy_kwargs"):
        opened(path)


def test_missing_empty_and_oversized_archives_are_refused(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_archive(tmp_path / "none.zip")
    (tmp_path / "empty.zip").touch()
    with pytest.raises(ConfigError, match="expected a PPO policy"):
        opened(tmp_path / "empty.zip")
    monkeypatch.setattr(archive, "LARGEST_ARCHIVE", 100)
    with pytest.raises(ConfigError, match="expected at most 100 bytes"):
        read_archive(good)


def test_machine_that_cannot_confine_reads_nothing(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)

    with pytest.raises(ConfigError, match="expected Linux with libseccomp"):
        read_archive(good)


_DEEDS = """
import os, signal, socket, subprocess, threading
deeds = {
    "read a file": lambda: open(SECRET),
    "write a file": lambda: open(PLACE + "/written", "w"),
    "make a directory": lambda: os.mkdir(PLACE + "/made"),
    "remove a file": lambda: os.unlink(SECRET),
    "list a directory": lambda: os.listdir(PLACE),
    "connect": lambda: socket.socket().connect(("127.0.0.1", PORT)),
    "bind a unix socket": lambda: socket.socket(socket.AF_UNIX),
    "fork": os.fork,
    "become another program": lambda: os.execv("/bin/touch", ["touch", PLACE + "/run"]),
    "start a program": lambda: subprocess.run(["/bin/touch", PLACE + "/started"]),
    "signal": lambda: os.kill(VICTIM, signal.SIGKILL),
    "signal whoever asked": lambda: os.kill(os.getppid(), 0),
    "stop being confined": lambda: os.setuid(0),
    "hold too much": lambda: bytearray(3 << 30),
    "see secrets": lambda: os.environ["ARGONAUT_TOKEN"],
}
found = {}
for name, deed in deeds.items():
    try:
        deed()
        found[name] = "done"
    except BaseException as error:
        found[name] = type(error).__name__
raise ValueError(";".join(f"{name}: {what}" for name, what in found.items()))
"""


class TestHostileArchive:
    """What a pickle does is done in a process that can do nothing."""

    def test_can_do_nothing(self, tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ARGONAUT_TOKEN", "canary")
        secret, place = tmp_path / "secret", tmp_path / "place"
        secret.write_text("canary")
        place.mkdir()
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            subprocess.Popen(["/bin/sleep", "60"]) as victim,
        ):
            server.settimeout(0.2)
            names = {"SECRET": str(secret), "PLACE": str(place), "VICTIM": victim.pid}
            deeds = Deed(exec, _DEEDS, names | {"PORT": server.getsockname()[1]})
            try:
                with pytest.raises(ConfigError) as refused:
                    read_archive(poison(copied(good, tmp_path), deeds))
                with pytest.raises(TimeoutError):
                    server.accept()
                assert victim.poll() is None
            finally:
                victim.kill()

        found = dict(one.split(": ") for one in str(refused.value).partition("ValueError: ")[2].split(";"))
        assert found.pop("see secrets") == "KeyError"
        assert found.pop("hold too much") == "MemoryError"
        assert len(found) == 13
        assert set(found.values()) == {"PermissionError"}, found
        assert secret.read_text() == "canary"
        assert not list(place.iterdir())

    def test_that_runs_for_ever_is_ended(
        self, tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive, "_LONGEST_SECS", 3)

        with pytest.raises(ConfigError, match="not read within 3 s"):
            read_archive(poison(copied(good, tmp_path), Deed(exec, "while True: pass")))

    def test_that_says_too_much_is_stopped_by_the_kernel(self, tmp_path: Path, good: Path) -> None:
        said = "import os\nwhile True: os.write(1, bytes(1 << 24))"

        with pytest.raises(ConfigError, match=r"ended with -25|File too large"):
            read_archive(poison(copied(good, tmp_path), Deed(exec, said)))

    @pytest.mark.parametrize(
        "said",
        [
            pytest.param({}, id="nothing"),
            pytest.param({"layers": 2, "activation": "Tanh"}, id="layers that are not there"),
            pytest.param({"layers": 1, "activation": "__import__"}, id="an activation that is none"),
            pytest.param({"layers": 1 << 40, "activation": "Tanh"}, id="layers without end"),
            pytest.param({"layers": 1, "activation": "Tanh", "observed": [["", [5]]]}, id="another width"),
            pytest.param({"error": "\x1b[2J" + "x" * 10_000}, id="what a terminal obeys"),
        ],
    )
    def test_what_is_said_of_it_is_not_believed(self, said: dict[str, Any]) -> None:
        arrays: dict[str, Any] = {"weight_0": np.ones((3, 4)), "bias_0": np.ones(3)}
        arrays |= {"low": np.ones(3), "high": np.ones(3)}
        arrays |= {"observations": np.ones((2, 4)), "actions": np.ones((2, 3))}
        content = io.BytesIO()
        np.savez(content, head=np.frombuffer(json.dumps(said).encode(), np.uint8), **arrays)

        with pytest.raises(ConfigError) as refused:
            read_answer(Path("ppo.zip"), content.getvalue())

        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 1_000

    @pytest.mark.parametrize(
        "arrays",
        [
            pytest.param({}, id="no head"),
            pytest.param({"head": np.frombuffer(b"[" * 100_000, np.uint8)}, id="JSON without end"),
            pytest.param({"head": np.frombuffer(b"7", np.uint8)}, id="a head that is none"),
            pytest.param({"head": np.frombuffer(b"{}", np.uint8), "low": np.array("x")}, id="words"),
        ],
    )
    def test_answer_that_cannot_be_read_is_refused(self, arrays: dict[str, Any]) -> None:
        content = io.BytesIO()
        np.savez(content, **arrays)

        for answer in (content.getvalue(), b"no arrays", b""):
            with pytest.raises(ConfigError, match="no answer that can be read"):
                read_answer(Path("ppo.zip"), answer)


def copied(good: Path, directory: Path) -> Path:
    return Path(shutil.copy(good, directory / "ppo.zip"))
