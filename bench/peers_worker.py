"""Worker process with MediaPipe's own solutions, which processes one block of frames per request.

In: {"peer": "Hands" or "Holistic", "pictures": PATH.npy}; out: {"cpu_ms": .., "wall_ms": ..}; a line each.
"""

from __future__ import annotations

import json
import sys
import time

import mediapipe as mp
import numpy as np

PEERS = {
    # As in the Gesture Recognizer task: two hands, the full model, as a live stream.
    "Hands": lambda: mp.solutions.hands.Hands(static_image_mode=False, max_num_hands=2, model_complexity=1),
    # Pose, face mesh and both hands.
    "Holistic": lambda: mp.solutions.holistic.Holistic(static_image_mode=False, model_complexity=1),
}


def main() -> None:
    """Process requests until the input ends."""
    open_ones = {}
    for line in sys.stdin:
        asked = json.loads(line)
        peer = asked["peer"]
        if peer not in open_ones:
            open_ones[peer] = PEERS[peer]()
        pictures = [np.ascontiguousarray(image[:, :, ::-1]) for image in np.load(asked["pictures"])]
        cpu, wall = time.process_time(), time.perf_counter()
        for image in pictures:
            open_ones[peer].process(image)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(
            json.dumps({"cpu_ms": cpu * 1000 / len(pictures), "wall_ms": wall * 1000 / len(pictures)}),
            flush=True,
        )


if __name__ == "__main__":
    main()
