"""What holds for every test."""

import os

from hypothesis import settings

# A deadline for one example would measure what else the machine does. CI draws the same examples every time.
settings.register_profile("argonaut", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("argonaut")
