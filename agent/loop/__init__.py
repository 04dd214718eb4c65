"""The one thread that looks, decides and hands over."""
