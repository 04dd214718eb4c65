"""Hand identity: decides which hand of a frame is which hand of earlier frames. Pure.

There are two steps. `HandAssigner` says whose hand it is, person and side, while a frame is recognised: from
the body's arms, the classifier and earlier frames. It may err for a moment. `HandTracker` then gives the hand
a track number that survives such errors and short absences; smoothing, debounce and rules go by the track.
"""

from agent.core.hand_identity.assignment import AssignedHand, HandAssigner, HandEvidence, PersonHand
from agent.core.hand_identity.tracker import HandTracker

__all__ = ["AssignedHand", "HandAssigner", "HandEvidence", "HandTracker", "PersonHand"]
