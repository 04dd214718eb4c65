"""State of all agents on a broker, for `gesture-agent fleet`."""
