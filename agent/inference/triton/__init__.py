"""Networks on a Triton Inference Server, for cameras too thin for them."""
