import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import load_host
from strategies.errors import ConfigError
from tests.support.configs import HOST, STRATEGY, write_configs


def refusal(path: Path, **overrides: Any) -> list[str]:
    """Lines of the refusal, each with the directory taken off."""
    with pytest.raises(ConfigError) as refused:
        load_host(path, overrides)
    return [line.replace(f"{path.parent}/", "") for line in str(refused.value).splitlines()]


def test_misspelt_key_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    path = write_configs(tmp_path, host=HOST.replace("starting_balance", "starting_balanse"))

    assert refusal(path) == [
        'host.toml: venue.starting_balanse: unknown key; did you mean "starting_balance"?'
    ]


def test_misspelt_key_in_a_strategy_file_names_that_file(tmp_path: Path) -> None:
    path = write_configs(tmp_path, one=STRATEGY.replace("min_confidence", "min_confidense"))

    assert refusal(path) == [
        'strategies/one.toml: guardrails.min_confidense: unknown key; did you mean "min_confidence"?'
    ]


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        ("speed = 60.0", "speed = -1", 'host.toml: replay.speed = -1: expected a number above 0 or "max"'),
        ("speed = 60.0", "speed = nan", 'host.toml: replay.speed = NaN: expected a number above 0 or "max"'),
        ("1_000.0", "inf", "host.toml: venue.starting_balance = Infinity: expected a number above 0"),
        ("1_000.0", '"rich"', 'host.toml: venue.starting_balance = "rich": expected a number above 0'),
        ("1_000.0", "true", "host.toml: venue.starting_balance = true: expected a number above 0"),
        (
            '"paper"',
            '"papre"',
            'host.toml: kind = "papre": expected one of "backtest", "paper", "live"; did you mean "paper"?',
        ),
        (
            'name = "DEMO"',
            "",
            "host.toml: venue.name: missing; expected text that matches ^[A-Z][A-Z0-9_]*$",
        ),
        (
            'strategies = ["strategies/one.toml"]',
            "strategies = []",
            "host.toml: strategies = []: expected a list of one or more: text",
        ),
        ("[replay]", "[live]", "host.toml: live.speed: unknown key here; it belongs in [replay]"),
        (
            "[replay]\nspeed = 60.0",
            "[live]",
            'host.toml: [live] is read by kind = "live" only; remove it from this file',
        ),
        (
            "[replay]\nspeed = 60.0",
            "leverage = 2.0",
            'host.toml: venue: a cash account has leverage 1, not 2; set account_type = "margin"',
        ),
        (
            "[replay]\nspeed = 60.0",
            '[data]\nstart = "soon"',
            'host.toml: data.start = "soon": not a date or time such as "2023-01-31" '
            'or "2023-01-31T12:00:00Z"',
        ),
        (
            "[replay]\nspeed = 60.0",
            "[data]\nstart = 2023-02-01\nend = 2023-01-01",
            "host.toml: data: start (2023-02-01) is not before end (2023-01-01)",
        ),
        (
            '["strategies/one.toml"]',
            '["strategies/won.toml"]',
            'host.toml: strategies[0] = "strategies/won.toml": no such file; '
            'did you mean "strategies/one.toml"?',
        ),
        (
            '["strategies/one.toml"]',
            '["strategies/one.toml", "strategies/../strategies/one.toml"]',
            'host.toml: strategies[1] = "strategies/../strategies/one.toml": the same file as strategies[0]',
        ),
        (
            '"DEMO"',
            '"KRAKEN"',
            'strategies/one.toml: instruments[0] = "ALPHAUSDT.DEMO": '
            "expected an instrument of KRAKEN, the venue of host.toml",
        ),
        (
            "1_000.0",
            "999.0",
            "host.toml: venue.starting_balance = 999: the strategies' capital_quote sums to 1000; "
            "expected at least that",
        ),
        (
            "[replay]\nspeed = 60.0",
            '[reconciliation]\nadopt = { "ALPHAUSDT.DEMO" = "nobody" }',
            'host.toml: reconciliation.adopt.ALPHAUSDT.DEMO = "nobody": expected one of one',
        ),
        (
            "[replay]\nspeed = 60.0",
            '[reconciliation]\nadopt = { "GAMMAUSDT.DEMO" = "one" }',
            'host.toml: reconciliation.adopt.GAMMAUSDT.DEMO = "one": expected an instrument that a strategy '
            "here trades",
        ),
    ],
)
def test_bad_host_value_names_file_key_value_and_what_was_expected(
    tmp_path: Path, written: str, instead: str, line: str
) -> None:
    assert written in HOST
    path = write_configs(tmp_path, host=HOST.replace(written, instead))

    assert refusal(path) == [line]


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        (
            "min_confidence = 0.5",
            'daily_loss_quote = "off"',
            'guardrails.daily_loss_quote = "off": expected a number above 0, or "none"',
        ),
        (
            "min_confidence = 0.5",
            'min_notional_quote = "none"',
            'guardrails.min_notional_quote = "none": expected a number of at least 0',
        ),
        ("0.5", "1.4", "guardrails.min_confidence = 1.4: expected a number from 0 to 1"),
        ("lookback = 8", "lookback = 8.0", "features.lookback = 8.0: expected a whole number from 1 to 4096"),
        ("{ period = 1 }", "{ period = [1] }", "features.columns[0].params.period = [1]: expected "),
        ("lookback = 20", "lookback = 0", "policy.lookback = 0: expected a whole number of at least 1"),
        ("lookback = 20", "lookbak = 20", 'policy.lookbak: unknown key; did you mean "lookback"?'),
        (
            '"donchian"',
            '"donchain"',
            'policy.kind = "donchain": expected one of "onnx", "bundle", "donchian", ',
        ),
        ('kind = "donchian"', "", 'policy.kind: missing; expected one of "onnx", "bundle", "donchian", '),
        (
            "[guardrails]",
            'policy.stop_atr = "far"\n[guardrails]',
            None,
        ),
        (
            '["ALPHAUSDT.DEMO"]',
            '["ALPHAUSDT.DEMO", "ALPHAUSDT.DEMO"]',
            "an instrument is named twice: ['ALPHAUSDT.DEMO', 'ALPHAUSDT.DEMO']",
        ),
    ],
)
def test_bad_strategy_value_names_file_key_value_and_what_was_expected(
    tmp_path: Path, written: str, instead: str, line: str | None
) -> None:
    assert written in STRATEGY
    path = write_configs(tmp_path, one=STRATEGY.replace(written, instead))

    lines = refusal(path)

    assert len(lines) == 1
    assert lines[0].startswith(f"strategies/one.toml: {line or ''}")


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    host = HOST.replace("speed = 60.0", "speed = 0").replace('"DEMO"', "7")
    strategy = STRATEGY.replace("0.5", "2").replace("lookback = 8", "lookback = 0")

    lines = refusal(write_configs(tmp_path, host=host, one=strategy))

    assert sorted(line.split(" = ")[0] for line in lines) == [
        "host.toml: replay.speed",
        "host.toml: venue.name",
        "strategies/one.toml: features.lookback",
        "strategies/one.toml: guardrails.min_confidence",
    ]


def test_two_strategies_of_one_name_are_refused(tmp_path: Path) -> None:
    host = HOST.replace('["strategies/one.toml"]', '["strategies/one.toml", "strategies/two.toml"]')
    halves = STRATEGY.replace("1_000.0", "500.0")

    lines = refusal(write_configs(tmp_path, host=host, one=halves, two=halves))

    assert lines == [
        'strategies/two.toml: name = "one": strategies/one.toml has this name already; '
        "expected one of its own"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"kind = ", "not valid TOML: Invalid value"),
        (b'kind = "paper"\nkind = "live"\n', "not valid TOML: a key is given twice"),
        (b'kind = "\xff"', "not UTF-8 text: byte 8 is 0xff"),
    ],
)
def test_unreadable_file_is_refused_with_the_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "host.toml"
    path.write_bytes(content)

    lines = refusal(path)

    assert lines[0].startswith(f"host.toml: {message}")


def test_missing_file_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    write_configs(tmp_path)

    assert refusal(tmp_path / "hots.toml") == ['hots.toml: no such file; did you mean "host.toml"?']


def test_directory_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.toml").mkdir()

    assert refusal(tmp_path / "host.toml") == ["host.toml: cannot be read: Is a directory"]


def test_secret_in_a_file_is_refused_and_never_repeated(tmp_path: Path) -> None:
    host = (
        HOST + '\n[live]\napi_secret = "hunter2"\n'
        '[daemon]\npassword = "hunter3"\non_stop = { token = "hunter4" }\n'
    )

    lines = refusal(write_configs(tmp_path, host=host))

    assert any(
        line.startswith("host.toml: live.api_secret: unknown key; a configuration never holds")
        for line in lines
    )
    assert "hunter" not in "\n".join(lines)


def test_bad_value_of_a_secret_is_not_repeated(tmp_path: Path) -> None:
    spoiled = STRATEGY.replace("period = 1", 'api_key = ["hunter2"]')

    lines = refusal(write_configs(tmp_path, one=spoiled))

    assert lines == [
        "strategies/one.toml: features.columns[0].params.api_key = [redacted]: "
        "expected a whole number or a number or text"
    ]


def test_bad_override_says_where_it_came_from(tmp_path: Path) -> None:
    path = write_configs(tmp_path)

    lines = refusal(path, **{"replay.speed": -2})

    assert lines == [
        'host.toml: replay.speed = -2: expected a number above 0 or "max" (given on the command line)'
    ]


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
)


def test_what_a_terminal_would_obey_is_shown_as_what_it_is(tmp_path: Path) -> None:
    path = write_configs(tmp_path, host=HOST.replace('"paper"', '"\x9b2J\x85paper"'))

    (line,) = refusal(path)

    assert line.startswith(r'host.toml: kind = "\x9b2J\x85paper": expected one of ')


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_configuration_loads_or_is_refused_in_our_words(tmp_path: Path, data: st.DataObject) -> None:
    name, text = data.draw(st.sampled_from([("host", HOST), ("one", STRATEGY)]))
    lines = text.splitlines()
    at = data.draw(st.sampled_from([at for at, line in enumerate(lines) if " = " in line]))
    key, _, value = lines[at].partition(" = ")
    key = data.draw(st.sampled_from([key, key[:-1], f"{key}x", "name"]))
    new = data.draw(_VALUES)
    written = value if new is None else re.sub(r"\bNaN\b", "nan", json.dumps(new)).replace("Infinity", "inf")
    lines[at] = f"{key} = {written}"
    spoiled = "\n".join(lines)
    path = write_configs(tmp_path, host=spoiled) if name == "host" else write_configs(tmp_path, one=spoiled)

    try:
        load_host(path)
    except ConfigError as error:
        refused = str(error).splitlines()
        assert refused
        assert all(re.match(r"\S+\.toml: \S", line) for line in refused)


@pytest.mark.parametrize(
    ("section", "key", "lack"),
    [
        ("[orders]\nrequire_stop", "orders.require_stop", "gives no protective stops"),
        ("[sizing.risk_fraction]\nenabled", "sizing.risk_fraction.enabled", "gives no protective stops"),
        ("[sizing.edge]\nenabled", "sizing.edge.enabled", "gives no expected returns"),
    ],
)
def test_rule_that_waits_for_what_the_policy_never_gives_is_refused(
    tmp_path: Path, section: str, key: str, lack: str
) -> None:
    equal = STRATEGY.replace('kind = "donchian"\nlookback = 20', 'kind = "equal"')
    path = write_configs(tmp_path, one=f"{equal}\n{section} = true\n")

    assert refusal(path) == [
        f'strategies/one.toml: {key} = true: policy.kind = "equal" {lack}, so no position would ever be '
        "opened; switch it off, or name another policy or a regime model"
    ]


def test_rule_that_reads_a_regime_is_refused_without_one(tmp_path: Path) -> None:
    exposure = "[sizing.regime_exposure]\nenabled = true\nmultipliers = [1.0]\n"

    (line,) = refusal(write_configs(tmp_path, one=f"{STRATEGY}\n{exposure}"))

    assert "sizing.regime_exposure.enabled = true: there is no [regime]" in line


def test_rules_that_need_a_stop_go_with_a_policy_that_gives_one(tmp_path: Path) -> None:
    needy = "[orders]\nrequire_stop = true\n[sizing.risk_fraction]\nenabled = true\n"

    assert load_host(write_configs(tmp_path, one=f"{STRATEGY}\n{needy}")).strategies


def test_orders_over_a_window_are_refused_outside_backtests(tmp_path: Path) -> None:
    window = '\n[execution]\nfill_policy = "vwap_window"\n'

    assert refusal(write_configs(tmp_path, host=HOST + window)) == [
        'host.toml: execution.fill_policy = "vwap_window": only a backtest works orders over time; '
        'expected "next_open"'
    ]
