"""TensorRT backend: TensorRT 8.6 to 11 or TensorRT for RTX, with GPU memory and streams through PyCUDA."""
