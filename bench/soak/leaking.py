"""The agent with an artificial leak, to verify the soak test: leaking.py MB_A_MINUTE run --config FILE."""

from __future__ import annotations

import sys
import threading
import time

from agent.cli import main

BLOCK = 10_000  # bytes: small enough to come from the heap, as leaks do


def leak(mb_min: float) -> None:
    """Leak memory for ever."""
    kept = []
    while True:
        time.sleep(1.0)
        kept += [bytes(BLOCK) for _ in range(round(mb_min * 1e6 / 60 / BLOCK))]


if __name__ == "__main__":
    threading.Thread(target=leak, args=(float(sys.argv.pop(1)),), daemon=True).start()
    main()
