"""Web server of the agent: dashboard, kiosk stream, `/metrics` and `/healthz`."""
