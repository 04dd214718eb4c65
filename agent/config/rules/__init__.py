"""Rule files: grammar, conversion to core rules, and test cases."""
