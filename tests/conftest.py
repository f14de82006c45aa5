"""What holds for every test."""

import os
from collections import Counter

import pytest
from hypothesis import settings

# A deadline for one example would measure what else the machine does. CI draws the same examples every time.
settings.register_profile("argonaut", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("argonaut")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests with one name several processes would run the first alone, and nobody would notice."""
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(
            f"expected a name for each test, found several called {twice[0]}; give them ids"
        )
