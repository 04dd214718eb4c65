"""Rate limits for web clients: token attempts, connections, log lines."""
