"""Rule files: their grammar, what they mean, and the cases that test them."""
