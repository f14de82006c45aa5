"""The manifest: its hash, its columns, and how it refuses what it cannot read."""

import subprocess
import sys
from pathlib import Path

import pytest

from strategies.config import FeatureConfig, FeaturesConfig
from strategies.errors import ConfigError
from strategies.features import FeaturePipeline, kernel_types
from strategies.features import kernels as kernels_package
from strategies.features.manifest import read_manifest
from tests.strategies.features.panels import SMALL, manifest, one

ROOT = Path(__file__).resolve().parents[3]

ISSUE_KINDS = {
    "log_return", "rsi", "roc", "macd", "stochastic", "atr", "sma", "ema", "bollinger", "session_vwap",
    "rolling_vwap", "close_zscore", "volume_zscore", "realised_volatility", "ewma_volatility", "skew",
    "range_position", "donchian", "dispersion", "breadth",
}  # fmt: skip


def _hash(config: FeaturesConfig) -> str:
    return read_manifest(config, 2).sha256()


def test_kernel_types_hold_every_feature_that_is_promised() -> None:
    assert set(kernel_types()) >= ISSUE_KINDS


@pytest.mark.parametrize("kind", sorted(SMALL))
def test_hash_changes_with_every_parameter(kind: str) -> None:
    base = read_manifest(one(kind), 2)

    for name, default in base.specs[0].params.items():
        assert isinstance(default, int | float)
        assert _hash(one(kind, **{name: default + 1})) != base.sha256()


def test_hash_changes_with_order_lookback_kind_and_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = [
        _hash(manifest(["rsi", "atr"])),
        _hash(manifest(["atr", "rsi"])),
        _hash(manifest(["rsi", "atr"], lookback=9)),
        _hash(manifest(["rsi", "natr"])),
        _hash(manifest(["rsi", "atr", "sma"])),
    ]
    monkeypatch.setattr(kernel_types()["rsi"], "REVISION", 2)
    hashes.append(_hash(manifest(["rsi", "atr"])))

    assert len(set(hashes)) == len(hashes)


def test_hash_of_a_default_that_is_written_out_is_that_of_the_default() -> None:
    assert _hash(one("bollinger", period=20, width=2)) == _hash(one("bollinger"))


def test_hash_does_not_depend_on_the_number_of_instruments() -> None:
    config = manifest(["dispersion", "rsi"])

    assert FeaturePipeline(config, 1).schema_sha256 == FeaturePipeline(config, 5).schema_sha256


def test_hash_is_the_same_in_another_process() -> None:
    program = (
        "from strategies.features import FeaturePipeline\n"
        "from tests.strategies.features.panels import SMALL, manifest\n"
        "print(FeaturePipeline(manifest(sorted(SMALL)), 2).schema_sha256)"
    )

    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert hashes == {FeaturePipeline(manifest(sorted(SMALL)), 2).schema_sha256}


def test_canonical_json_of_one_feature_is_what_it_says() -> None:
    document = read_manifest(FeaturesConfig(lookback=8, columns=(FeatureConfig(kind="rsi"),)), 1)

    assert document.canonical_json() == (
        '{"features":[{"columns":["rsi_14"],"kind":"rsi","params":{"period":14},"revision":1}],'
        '"format":1,"lookback":8}'
    )


def test_columns_are_named_after_kind_and_parameters() -> None:
    columns = read_manifest(manifest(["donchian", "atr", "bollinger", "macd"]), 1).columns

    assert columns == (
        "donchian_upper_3",
        "donchian_lower_3",
        "atr_3",
        "bollinger_upper_4_1.5",
        "bollinger_lower_4_1.5",
        "bollinger_percent_b_4_1.5",
        "bollinger_bandwidth_4_1.5",
        "macd_2_4_3",
        "macd_signal_2_4_3",
        "macd_hist_2_4_3",
    )


def test_columns_of_all_kernels_are_unique() -> None:
    config = FeaturesConfig(columns=tuple(FeatureConfig(kind=kind) for kind in kernel_types()))

    columns = read_manifest(config, 2).columns

    assert len(set(columns)) == len(columns)


REFUSED: list[tuple[tuple[str, dict[str, int | float | str]], str]] = [
    (("rssi", {}), r'features.columns\[0\].kind = \'rssi\': unknown kernel; did you mean "rsi"\?'),
    (("rsi", {"periods": 3}), r'params.periods: unknown parameter; did you mean "period"\?'),
    (("candle", {"period": 3}), r"params.period: unknown parameter; it has no parameters"),
    (("rsi", {"period": 1}), r"params.period = 1: expected a whole number from 2 to 100000"),
    (("rsi", {"period": 0}), r"params.period = 0: expected a whole number from 2"),
    (("sma", {"period": -5}), r"params.period = -5: expected a whole number from 1"),
    (("sma", {"period": 10**9}), r"params.period = 1000000000: expected a whole number from 1 to 100000"),
    (("sma", {"period": 2.5}), r"params.period = 2.5: expected a whole number"),
    (("sma", {"period": "20"}), r"params.period = '20': expected a whole number"),
    (("bollinger", {"width": 0.0}), r"params.width = 0.0: expected a number above 0"),
    (("bollinger", {"width": "2"}), r"params.width = '2': expected a number"),
    (("bollinger", {"width": float("nan")}), r"params.width = nan: expected a finite number"),
    (("macd", {"fast": 26, "slow": 12}), r"params.slow = 12: expected a whole number from 27"),
    (("session_vwap", {"start_utc_hour": 24}), r"start_utc_hour = 24: expected a whole number from 0 to 23"),
]


@pytest.mark.parametrize(("feature", "complaint"), REFUSED, ids=[c for _, c in REFUSED])
def test_feature_that_cannot_be_is_refused_with_its_place(
    feature: tuple[str, dict[str, int | float | str]], complaint: str
) -> None:
    kind, params = feature
    config = FeaturesConfig(columns=(FeatureConfig.model_construct(kind=kind, params=params),))

    with pytest.raises(ConfigError, match=complaint):
        FeaturePipeline(config, 1)


def test_feature_that_is_named_twice_is_refused() -> None:
    config = FeaturesConfig(
        columns=(FeatureConfig(kind="rsi"), FeatureConfig(kind="rsi", params={"period": 14}))
    )

    with pytest.raises(ConfigError, match=r"columns\[1\]: column 'rsi_14' is already given"):
        FeaturePipeline(config, 1)


NEW_KERNEL = """
from strategies.features.kernel import Kernel
from strategies.market import BarRow


class Doubled(Kernel):
    KIND = "{kind}"
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(("doubled",), warmup_bars=1)

    def update(self, bar: BarRow, row: list[float], at: int) -> None:
        row[at] = 2.0 * bar.close
"""


def test_new_kernel_drops_in_through_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doubled_for_test.py").write_text(NEW_KERNEL.format(kind="doubled"))
    monkeypatch.setattr(kernels_package, "__path__", [*kernels_package.__path__, str(tmp_path)])

    assert FeaturePipeline(one("doubled"), 1).columns == ("doubled",)


def test_two_kernels_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "second_rsi_for_test.py").write_text(NEW_KERNEL.format(kind="rsi"))
    monkeypatch.setattr(kernels_package, "__path__", [*kernels_package.__path__, str(tmp_path)])

    with pytest.raises(ConfigError, match="two kernels are called 'rsi'"):
        kernel_types()
