"""Networks and what is made of their outputs: poses, hands, gestures."""
