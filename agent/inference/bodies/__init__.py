"""Body pose estimation (BlazePose or BodyPoseNet) and tracking of people."""
