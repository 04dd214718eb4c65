"""What happens on this machine at once or never: keys and commands."""
