"""NVIDIA's networks: TAO file formats, NGC downloads, DeepStream export."""
