"""gesture-agent: a daemon that turns hand gestures seen by cameras into MQTT events."""

__version__ = "0.1.0"
