"""How this program starts itself again, for work that takes a process of its own."""

import sys

PROGRAM = (sys.executable, "-P", "-m", "bot.cli.app")
"""Without -P a folder where we were started would be taken for a package of ours that has its name."""
