"""`timelines.py` is for the tests of the folders below, too."""
