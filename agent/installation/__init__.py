"""Installation and removal of the agent as a systemd service."""
