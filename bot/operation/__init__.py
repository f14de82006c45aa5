"""What a running daemon is made of beside its strategies: command and guard, answers, alerts, jobs."""
