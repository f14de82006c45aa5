"""Which files a run may name."""

from pathlib import Path

import pytest

from ops.refusals import RefusedError
from ops.runs.sources import LONGEST_NAME, Sources


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Configurations and a state directory, with a secret beside each."""
    for name in ("configs/strategies", "state/models/one/abc"):
        (tmp_path / name).mkdir(parents=True)
    for name in (
        "configs/paper.toml",
        "configs/strategies/one.toml",
        "state/models/one/abc/strategy.toml",
        "secret.toml",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / "configs/api-tokens.json").write_text("")
    (tmp_path / "configs/.hidden.toml").write_text("")
    (tmp_path / "configs/link.toml").symlink_to(tmp_path / "secret.toml")
    (tmp_path / "state/models/one/latest").symlink_to("abc")
    (tmp_path / "configs/folder.toml").mkdir()
    return Sources(tmp_path / "configs", tmp_path / "state")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("paper.toml", "configs/paper.toml"),
        ("strategies/one.toml", "configs/strategies/one.toml"),
        ("models/one/latest/strategy.toml", "state/models/one/abc/strategy.toml"),
    ],
)
def test_file_beside_the_host_file_or_in_the_state_directory_is_found(
    sources: Sources, tmp_path: Path, name: str, found: str
) -> None:
    assert sources.find(name) == tmp_path / found


@pytest.mark.parametrize(
    "name",
    [
        "", "nope.toml", "../secret.toml", "strategies/../../secret.toml", "/etc/passwd", "api-tokens.json",
        ".hidden.toml", "link.toml", "folder.toml", "paper.toml\0", "paper.toml\n", "./paper.toml",
        "strategies//one.toml", "x" * LONGEST_NAME + ".toml", "..\\secret.toml", "~/secret.toml",
    ],
)  # fmt: skip
def test_any_other_name_is_refused(sources: Sources, name: str) -> None:
    with pytest.raises(RefusedError):
        sources.find(name)


def test_file_given_absolutely_is_refused_though_it_is_there(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        sources.find(str(tmp_path / "configs/paper.toml"))
