"""Gesture classification, including taught gestures."""
