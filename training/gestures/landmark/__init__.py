"""The head of gesturenet-landmark: gestures from the joints that the landmark net finds."""
