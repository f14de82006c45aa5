import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.config import HostSettings
from bot.config.reference import reference_toml
from bot.config.schema import Schema, schema_of
from bot.learning.training import training_reference
from ml.training_config import TrainingConfig
from strategies.config import StrategyConfig
from tests.support.data import ROOT

REFERENCE = ROOT / "configs" / "reference.toml"
TRAINING_REFERENCE = ROOT / "configs" / "training_reference.toml"


def named_keys(schema: Schema) -> Iterator[str]:
    """Every name that a schema gives to a setting or section, at any depth."""
    for name, below in schema.get("properties", {}).items():
        yield name
        yield from named_keys(below)
    for kind in ("anyOf", "oneOf"):
        for variant in schema.get(kind, []):
            yield from named_keys(variant)
    if "items" in schema:
        yield from named_keys(schema["items"])


def test_reference_file_equals_the_code() -> None:
    assert REFERENCE.read_text() == reference_toml(), "run: argonaut config schema > configs/reference.toml"


def test_reference_file_of_trainings_equals_the_code() -> None:
    wanted = training_reference()
    assert TRAINING_REFERENCE.read_text() == wanted, (
        "run: argonaut config schema --training > configs/training_reference.toml"
    )


@pytest.mark.parametrize(
    ("model", "file"),
    [(HostSettings, REFERENCE), (StrategyConfig, REFERENCE), (TrainingConfig, TRAINING_REFERENCE)],
)
def test_reference_file_names_every_setting(model: type[BaseModel], file: Path) -> None:
    written = set(re.findall(r"^#\[*(?:\w+\.)*(\w+)(?: =|\]+$)", file.read_text(), re.MULTILINE))

    assert set(named_keys(schema_of(model))) - written == set()


def test_reference_file_gives_defaults_that_are_toml() -> None:
    defaults = re.findall(r"^#(\w+ = .+)$", REFERENCE.read_text(), re.MULTILINE)

    parsed = [tomllib.loads(line) for line in defaults]

    assert {"starting_balance": 100_000.0} in parsed
    assert {"fill_policy": "next_open"} in parsed


def test_reference_file_says_what_is_required_and_what_is_off() -> None:
    text = REFERENCE.read_text()

    assert re.search(r"Required\.\n#kind =\n", text)
    assert re.search(r"Not set by\n# default\.\n#start =\n|Not set by default\.\n#start =\n", text)
