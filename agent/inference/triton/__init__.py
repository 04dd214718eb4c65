"""Remote inference on a Triton Inference Server."""
