"""Training and test data: hands from photographs, rendered poses and rendered scenes."""
