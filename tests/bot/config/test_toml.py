"""What is written down is read again as it was."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import load_host
from bot.config.problems import redact
from bot.config.toml import toml_text
from strategies.errors import ConfigError
from tests.support.configs import HOST, STRATEGY, write_configs
from tests.support.data import ROOT

_SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), below, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), _VALUES, max_size=4))
def test_any_document_is_read_as_it_was_written(document: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(document)) == document


def test_what_is_none_is_left_out() -> None:
    assert toml_text({"a": None, "b": {"c": None, "d": 1}}) == "[b]\nd = 1\n"


@pytest.mark.parametrize("kind", ["backtest", "paper", "live"])
def test_shipped_host_written_as_one_file_is_the_same_host(kind: str, tmp_path: Path) -> None:
    host = load_host(ROOT / "configs" / f"{kind}.toml")
    copy = tmp_path / "config.toml"
    copy.write_text(toml_text(redact(host.as_file())))

    again = load_host(copy)

    assert again.sha256 == host.sha256
    assert again.pinned == host.pinned
    assert again.settings.data == host.settings.data


def test_limits_that_are_off_stay_off_in_a_file_that_is_written(tmp_path: Path) -> None:
    host = HOST + '\n[guardian]\nmax_stall_secs = "none"\nmax_reject_frac = "none"\n'
    strategy = STRATEGY + 'daily_loss_quote = "none"\n'
    written = load_host(write_configs(tmp_path, host=host, one=strategy))
    copy = tmp_path / "config.toml"
    copy.write_text(toml_text(written.as_file()))

    again = load_host(copy)

    guardian, guardrails = again.settings.guardian, again.strategies[0].config.guardrails
    assert (guardian.max_stall_secs, guardian.max_reject_frac) == (None, None)
    assert guardian.max_orders_per_minute == 300
    assert (guardrails.daily_loss_quote, guardrails.state_drawdown_quote) == (None, 20.0)
    assert again.sha256 == written.sha256 != load_host(write_configs(tmp_path)).sha256


def test_host_with_its_strategies_in_it_trades_them_in_order(tmp_path: Path) -> None:
    apart = write_configs(tmp_path, one=STRATEGY)
    tables = "\n[[strategies]]\n" + STRATEGY.replace("[features]", "[strategies.features]").replace(
        "[[features.columns]]", "[[strategies.features.columns]]"
    ).replace("[policy]", "[strategies.policy]").replace("[guardrails]", "[strategies.guardrails]")
    whole = tmp_path / "whole.toml"
    whole.write_text(HOST.replace('strategies = ["strategies/one.toml"]\n', "") + tables)

    assert load_host(whole).sha256 == load_host(apart).sha256


def test_bad_strategy_within_a_host_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.toml"
    head = HOST.replace('strategies = ["strategies/one.toml"]\n', "")
    whole.write_text(f'{head}\n[[strategies]]\nname = "one"\nintervall = "1-HOUR"\n')

    with pytest.raises(ConfigError, match="intervall: unknown key"):
        load_host(whole)
