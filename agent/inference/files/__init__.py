"""Model files: downloaded or built, kept in the cache folder, verified by checksum."""
