"""The agent as a service: logs, systemd."""
