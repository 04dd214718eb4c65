"""What must arrive: on disk until it was delivered, refused for good, or came too late."""
