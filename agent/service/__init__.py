"""Runtime of the service: logs, systemd notifications, signals and trace files."""
