"""One tape made of several."""

from strategies.tape import Record, TapeSink


class Tapes:
    """Gives each record to all who look at records, in order: the journal is first."""

    def __init__(self, *sinks: TapeSink) -> None:
        self._sinks = sinks

    def write(self, record: Record) -> None:
        """Pass a record on."""
        for sink in self._sinks:
            sink.write(record)
