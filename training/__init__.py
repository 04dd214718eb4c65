"""What makes the weights, the demo clip and the rendered people."""
