"""Where the hands are: followed from frame to frame, searched for where palms or arms show them."""
