"""Work that somebody asked for: backtests, trainings, walk-forwards, fits; each in its own process."""
