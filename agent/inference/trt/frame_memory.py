"""Page-locked memory for frames: what a camera's pipe is read into is copied to the GPU from there.

Without it each frame is copied once more on the CPU, into page-locked memory of the upload cache.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections import defaultdict

import numpy as np
import structlog

from agent.core.frame_memory import PixelFormat
from agent.core.types import Image
from agent.errors import GestureAgentError
from agent.inference.trt.device import Array, Device

log = structlog.get_logger(__name__)

MOST_BYTES = 128_000_000  # page-locked at most; a camera of 1280 x 720 holds about six frames of 3.7 MB


class PinnedFrameMemory:
    """`FrameMemory` of a GPU. For any thread.

    Memory of a frame that nobody holds any more is given out again. What is asked for beyond `most_bytes`, or
    where the system gives no page-locked memory, is ordinary memory: such frames are copied once more.
    """

    pixel_formats: tuple[PixelFormat, ...] = ("NV12", "BGRx")

    def __init__(self, device: Device, most_bytes: int = MOST_BYTES) -> None:
        self._device, self._most_bytes = device, most_bytes
        self._lock = threading.RLock()  # a frame may end in the thread that is just asking for another
        self._blocks: list[Array] = []
        self._free: defaultdict[int, list[Array]] = defaultdict(list)

    def new(self, nbytes: int) -> Image:
        """See `FrameMemory`."""
        block = self._block(nbytes)
        if block is None:
            return np.empty(nbytes, np.uint8)
        lent = (ctypes.c_ubyte * nbytes).from_address(block.ctypes.data)  # every view of the frame keeps it
        weakref.finalize(lent, self._give_back, block).atexit = False
        frame: Image = np.frombuffer(memoryview(lent), np.uint8)
        return frame

    def holds(self, image: Image) -> bool:
        """Whether the device may copy from this image directly."""
        first = image.ctypes.data
        last = first + image.strides[0] * image.shape[0]
        with self._lock:
            return any(b.ctypes.data <= first and last <= b.ctypes.data + b.nbytes for b in self._blocks)

    def _give_back(self, block: Array) -> None:
        with self._lock:
            self._free[block.nbytes].append(block)

    def _block(self, nbytes: int) -> Array | None:
        with self._lock:
            if free := self._free[nbytes]:
                return free.pop()
            if sum(block.nbytes for block in self._blocks) + nbytes > self._most_bytes:
                return None
            try:
                with self._device.current():
                    block = self._device.pinned((nbytes,), np.uint8)
            except GestureAgentError as exc:
                log.warning("frames_not_pinned", costs="one more copy of each frame", reason=str(exc))
                self._most_bytes = 0  # not asked for again
                return None
            self._blocks.append(block)
            return block
