"""Commands of the command line, one module per group; each imports its heavy parts when it runs."""
