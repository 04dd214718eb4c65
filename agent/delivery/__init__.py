"""What leaves the agent: MQTT, and the places where other targets join."""
