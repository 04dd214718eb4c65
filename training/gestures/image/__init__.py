"""GestureNet: gestures classified from pixels."""
