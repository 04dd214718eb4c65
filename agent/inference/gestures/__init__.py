"""What a hand shows: the classifier, and the gestures that a user has taught it."""
