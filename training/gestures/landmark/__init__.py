"""Head of gesturenet-landmark: gestures classified from the joints of the landmark network."""
