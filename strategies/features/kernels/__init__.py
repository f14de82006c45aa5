'''One file per family of kernels; a new feature is a new file here and a line in the manifest.

A kernel is a class with a ``KIND``, keyword parameters with defaults, and one method::

    class Doubled(Kernel):
        """Twice the close."""

        KIND = "doubled"
        __slots__ = ()

        def __init__(self) -> None:
            super().__init__(("doubled",), warmup_bars=1)

        def update(self, bar: BarRow, row: list[float], at: int) -> None:
            row[at] = 2.0 * bar.close
'''
