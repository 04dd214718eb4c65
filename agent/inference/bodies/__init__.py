"""People in a picture: two ways to find their joints, and who is who from frame to frame."""
