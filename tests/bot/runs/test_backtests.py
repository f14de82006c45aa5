"""How far a backtest says that it is."""

from concurrent.futures import Future

import pytest

from bot.runs.backtests import _Teller
from ml.evaluation import EquityCurve


def test_backtest_tells_of_baselines_and_of_what_follows_them() -> None:
    told: list[float] = []
    pending: list[Future[EquityCurve]] = [Future() for _ in range(5)]
    teller = _Teller(lambda done, total: told.append(done / total), pending)

    teller.own_run(1, 2)
    teller.own_run(2, 2)
    for future in pending:
        future.set_result(None)  # type: ignore[arg-type]  # what it is does not matter here
    teller.wait_for_baselines(lambda: None)
    teller.rest(100)
    teller.rest(0)

    # Five baselines are 40 %, the scorecard and what is written down 10 % each.
    assert told[:2] == [0.2, 0.4]
    assert told[-3:] == [0.8, 0.9, 1.0]
    assert told == sorted(told)


def test_backtest_waiting_for_baselines_can_be_called_off() -> None:
    pending: list[Future[EquityCurve]] = [Future()]
    teller = _Teller(None, pending)
    asked = []

    def stop() -> None:
        asked.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teller.wait_for_baselines(stop)

    assert asked == [1]
