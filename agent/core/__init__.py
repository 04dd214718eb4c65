"""What the agent thinks with: pure functions and state machines.

No I/O, no clock, no threads, no logging. Time arrives as data, in seconds.
"""
