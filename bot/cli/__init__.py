"""The console script `argonaut`: one module for each command, each a thin layer over the packages."""
