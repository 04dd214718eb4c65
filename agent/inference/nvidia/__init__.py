"""NVIDIA's own networks: files in and out of TAO's formats, NGC, DeepStream."""
