"""The main loop: one thread that recognises, decides and hands over to delivery."""
