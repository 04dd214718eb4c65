"""Inference: neural networks for poses, hands and gestures, and the decoding of their outputs."""
