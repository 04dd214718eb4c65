"""NVIDIA's own networks: BodyPoseNet's decoder, files in and out of TAO's formats, DeepStream."""
