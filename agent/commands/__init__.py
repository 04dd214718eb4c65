"""What the command line can do, one module per group; each imports the heavy parts when it runs."""
