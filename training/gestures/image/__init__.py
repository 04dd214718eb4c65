"""GestureNet proper: gestures from pixels."""
