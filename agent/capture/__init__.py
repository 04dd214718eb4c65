"""Cameras, files and streams as sources of frames."""
