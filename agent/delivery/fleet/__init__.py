"""What a broker tells of all its agents, for `gesture-agent fleet`."""
