import contextlib
import signal

import pytest

from bot.interrupts import Interrupts


def swallow() -> None:
    # As the engine and compiled code do.
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_swallowed_ctrl_c_ends_the_run_at_the_next_check() -> None:
    with Interrupts().remembered() as interrupts:
        swallow()

        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_check_without_ctrl_c_goes_on() -> None:
    with Interrupts().remembered() as interrupts:
        interrupts.check()

    assert not interrupts.pressed


def test_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    with Interrupts().remembered():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before
