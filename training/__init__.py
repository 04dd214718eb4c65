"""Training of the gesture networks, and rendering of clips and scenes."""
