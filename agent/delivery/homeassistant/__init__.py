"""Home Assistant MQTT discovery of the agent."""
