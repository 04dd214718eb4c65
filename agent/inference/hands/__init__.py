"""Hand detection and tracking: by landmarks from frame to frame, by palms or arms otherwise."""
