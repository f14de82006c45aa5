"""Beliefs about the past, and models that are fitted apart from a training."""

import json
import subprocess
import sys
from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.catalog import Catalog
from bot.config import load_host
from bot.learning import regimes
from bot.learning.regimes import PARAMS, REPORT, fit_regime, infer_regimes
from strategies.bundle import Bundle
from strategies.errors import ConfigError, DataError
from strategies.regime import RegimeFilter
from strategies.regime_params import RegimeParams, load_regime_params
from tests.support.bots import write_bot
from tests.support.bundles import TWO_STATES, write_small_bundle
from tests.support.data import ROOT
from tests.support.learners import STRATEGY
from tests.support.markets import ALPHA, DAY_START_NS, MINUTE_NS, market

__all__ = ["market"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_small_bundle(tmp_path_factory.mktemp("bundle"))


def infer(bundle: Bundle, catalog: Path, *, minutes: int | None = None, limit: int = 5_000) -> dict[str, Any]:
    end_ns = None if minutes is None else DAY_START_NS + minutes * MINUTE_NS
    return infer_regimes(bundle, Catalog(catalog), start_ns=None, end_ns=end_ns, limit=limit)


def test_beliefs_are_those_of_the_filter_on_the_returns_of_the_instrument(
    market: Path, bundle: Bundle
) -> None:
    close = Catalog(market).read_arrays(ALPHA).close[:200]
    regime = RegimeFilter(TWO_STATES)
    # The bundle's RSI is warm after 14 changes; from there on the filter sees every return.
    expected = [regime.update([float(x)]).probs for x in np.diff(np.log(close))]

    beliefs = infer(bundle, market, minutes=200)["beliefs"]

    # A filter that began some bars later has forgotten it, and features are kept as 32-bit numbers.
    for belief, probs in zip(beliefs[-50:], expected[-50:], strict=True):
        np.testing.assert_allclose(belief["filtered_probs"], probs, atol=1e-4)
        assert belief["state"] == int(np.argmax(probs))
    assert beliefs[-1]["ts_event"] == DAY_START_NS + 200 * MINUTE_NS


def test_moments_are_those_of_the_mixture_of_the_next_bar(market: Path, bundle: Bundle) -> None:
    (belief,) = infer(bundle, market, minutes=100, limit=1)["beliefs"]
    calm, wild = belief["filtered_probs"]
    ahead = calm * 0.95 + wild * 0.10, calm * 0.05 + wild * 0.90

    np.testing.assert_allclose(belief["predicted_probs"], ahead)
    # Both states have mean 0, and variances of 1e-8 and 1e-6.
    np.testing.assert_allclose(belief["expected"], [0.0])
    np.testing.assert_allclose(belief["variance"], [ahead[0] * 1e-8 + ahead[1] * 1e-6])
    np.testing.assert_allclose(belief["p_up"], [0.5])


def test_probability_of_a_rise_is_that_of_the_normal_distribution() -> None:
    params = RegimeParams(
        TWO_STATES.initial_probs,
        TWO_STATES.transition_matrix,
        means=np.array([[1.0], [-2.0]]),
        covariances=np.array([[4.0], [1.0]]),
    )

    expected, variance, p_up = regimes._moments(params, np.array([[0.25, 0.75]]))

    assert expected[0, 0] == pytest.approx(0.25 * 1.0 - 0.75 * 2.0)
    assert variance[0, 0] == pytest.approx(0.25 * 5.0 + 0.75 * 5.0 - 1.25**2)
    rises = 0.25 * 0.5 * (1 + erf(0.5 / sqrt(2))) + 0.75 * 0.5 * (1 + erf(-2.0 / sqrt(2)))
    assert p_up[0, 0] == pytest.approx(rises)


def test_variance_of_states_far_from_zero_and_close_together_loses_no_digits() -> None:
    params = RegimeParams(
        TWO_STATES.initial_probs,
        TWO_STATES.transition_matrix,
        means=np.array([[1e8, 0.0], [1e8, 1.0]]),
        covariances=np.array([[[1e-4, 0.0], [0.0, 1.0]], [[4e-4, 0.0], [0.0, 1.0]]]),
    )

    _, variance, _ = regimes._moments(params, np.array([[0.25, 0.75]]))

    assert variance[0] == pytest.approx([0.25 * 1e-4 + 0.75 * 4e-4, 1.0 + 0.25 * 0.75])


def test_belief_at_a_bar_does_not_change_when_the_future_comes(market: Path, bundle: Bundle) -> None:
    early, late = infer(bundle, market, minutes=300), infer(bundle, market, minutes=900)

    assert late["beliefs"][: len(early["beliefs"])] == early["beliefs"]


def test_only_the_newest_beliefs_are_told(market: Path, bundle: Bundle) -> None:
    whole, some = infer(bundle, market, minutes=100), infer(bundle, market, minutes=100, limit=3)

    assert some["beliefs"] == whole["beliefs"][-3:]
    assert some["bars"] == whole["bars"] == len(whole["beliefs"])


def test_span_that_is_too_long_is_refused_and_without_a_start_the_newest_are_taken(
    market: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regimes, "MOST_BARS", 500)

    with pytest.raises(DataError, match="expected at most 500 bars"):
        infer_regimes(bundle, Catalog(market), start_ns=DAY_START_NS, end_ns=None, limit=1)
    found = infer_regimes(bundle, Catalog(market), start_ns=None, end_ns=None, limit=1)

    assert 400 < found["bars"] <= 500


OPTIONS = {"num_states": 2, "covariance": "diagonal", "stay_bars": 10.0, "seed": 7}


def test_fitted_model_is_written_as_a_strategy_file_can_name_it(market: Path, tmp_path: Path) -> None:
    path = write_bot(tmp_path, market, ("holder",))
    (tmp_path / "learner.toml").write_text(STRATEGY)
    host = load_host(path, {"strategies": ["learner.toml"]})

    reports = [fit_regime(host, tmp_path / name, OPTIONS) for name in ("one", "two")]

    params = load_regime_params(tmp_path / "one" / PARAMS)
    assert json.loads((tmp_path / "one" / REPORT).read_text()) == reports[0] == reports[1]
    assert (tmp_path / "one" / PARAMS).read_bytes() == (tmp_path / "two" / PARAMS).read_bytes()
    assert reports[0]["params_sha256"] == params.sha256
    # The generated market has calm and wild times; the states are ordered by how wild they are.
    assert params.covariances[1, 0] > 2.0 * params.covariances[0, 0]
    assert params.transition_matrix.diagonal().min() > 0.8


CONFINED = """
import ctypes, pathlib, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    raise SystemExit(77)
from bot.config import load_host
from bot.learning.regimes import fit_regime
from ops.runs.confinement import may_make_code
assert not may_make_code()
options = {options!r}
host = load_host(pathlib.Path(sys.argv[1]), {{"strategies": ["learner.toml"]}})
fit_regime(host, pathlib.Path(sys.argv[2]), options)
"""
"""A fit in a process that may not make code, as systemd's MemoryDenyWriteExecute has the daemon's."""


def test_daemon_whose_sandbox_forbids_to_make_code_fits(market: Path, tmp_path: Path) -> None:
    path = write_bot(tmp_path, market, ("holder",))
    (tmp_path / "learner.toml").write_text(STRATEGY)

    done = subprocess.run(
        [sys.executable, "-c", CONFINED.format(options=OPTIONS), str(path), str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    if done.returncode == 77:
        pytest.skip("the kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.returncode == 0, done.stderr
    assert load_regime_params(tmp_path / "out" / PARAMS).num_states == OPTIONS["num_states"]


def test_strategy_without_a_regime_model_is_refused(market: Path, tmp_path: Path) -> None:
    host = load_host(write_bot(tmp_path, market, ("holder",)))

    with pytest.raises(ConfigError, match=r"expected a section \[regime\]"):
        fit_regime(host, tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()
