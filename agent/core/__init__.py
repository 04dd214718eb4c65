"""Pure core of the agent: tracking, smoothing, debounce, intent and rules.

No I/O, no clock, no threads, no logging. Time arrives as data, in seconds.
"""
