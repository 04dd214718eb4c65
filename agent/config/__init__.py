"""Settings and rule files: from text to frozen models, with every problem named and placed."""
