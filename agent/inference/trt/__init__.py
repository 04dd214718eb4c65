"""Networks on an NVIDIA GPU: TensorRT 8.6 to 11 or TensorRT for RTX, through cuda-bindings or PyCUDA."""
