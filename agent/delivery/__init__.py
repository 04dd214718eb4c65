"""Delivery of events, states and actions: MQTT, webhooks, key presses and commands."""
