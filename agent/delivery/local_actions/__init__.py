"""Local actions, performed at most once: key presses and commands."""
