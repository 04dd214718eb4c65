"""MQTT client, lease of the agent id, and an embedded broker."""
