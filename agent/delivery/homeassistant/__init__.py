"""What Home Assistant is told of the agent, and kept told."""
