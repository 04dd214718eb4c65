"""Puts the agent in place as a service, and takes it away again."""
