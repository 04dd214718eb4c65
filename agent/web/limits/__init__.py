"""What a visitor may take: attempts at the token, connections, lines in the log."""
