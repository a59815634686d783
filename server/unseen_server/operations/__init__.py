"""What an operator sees: metrics, status, log lines. Counts and sizes of the whole server, never content or names."""
