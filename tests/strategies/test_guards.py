import pytest

from strategies.guards import guarded


class Owner:
    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.contained: list[tuple[str, BaseException]] = []
        self.calls = 0

    def contain(self, where: str, error: BaseException) -> None:
        self.contained.append((where, error))

    @guarded
    def on_bar(self, error: BaseException | None = None) -> int:
        self.calls += 1
        if error is not None:
            raise error
        return 7

    @guarded
    def on_stop(self) -> None:
        self.calls += 1


def test_guarded_callback_that_succeeds_passes_its_answer_on() -> None:
    owner = Owner()

    assert owner.on_bar() == 7
    assert (owner.failure, owner.contained) == (None, [])


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()]
)
def test_guarded_callback_that_raises_is_contained_with_its_name(error: BaseException) -> None:
    owner = Owner()

    assert owner.on_bar(error) is None
    assert owner.failure is error
    assert owner.contained == [("on_bar", error)]


def test_guarded_owner_does_nothing_more_after_its_first_failure() -> None:
    owner, first = Owner(), ValueError("first")
    owner.on_bar(first)

    owner.on_bar(ValueError("second"))
    owner.on_stop()

    assert owner.calls == 1
    assert owner.contained == [("on_bar", first)]


def test_guarded_failure_of_one_owner_leaves_another_alone() -> None:
    broken, healthy = Owner(), Owner()
    broken.on_bar(ValueError("x"))

    assert healthy.on_bar() == 7


def test_guarded_callback_keeps_its_name_for_the_engine() -> None:
    assert Owner.on_bar.__name__ == "on_bar"
