"""Cache of frames on the GPU: each is uploaded once for all crops, and its memory is reused."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from agent.core.frame_memory import packed_bgr
from agent.core.nv12 import Nv12Image
from agent.core.types import Image, Pixels
from agent.errors import EngineError
from agent.inference.trt.device import Array, Device, Memory, Stream
from agent.inference.trt.frame_memory import PinnedFrameMemory

log = structlog.get_logger(__name__)

# Buffers for frames / cameras seen at once: while the next frame of a camera comes, streams may
# still cut from the previous one, and an upload into its buffer would have to wait for them.
PLACES_A_CAMERA = 2
NO_COLOUR = (0.0,) * 6


@dataclass(slots=True, eq=False)
class Upload:
    """Buffer of a frame: rows of `pitch` bytes, pixels of `step` bytes that begin with blue, green and red.

    NV12 has a `step` of 1, its plane of colours at `chroma_at`, and the coefficients of its `YuvColour`.
    `readers` are streams that may still cut from it. `source` is a frame that is copied from where it lies;
    other frames are copied to `staging` first.
    """

    memory: Memory
    staging: Array | None = None  # pinned
    source: Pixels | None = None
    pitch: int = 0
    step: int = 3
    chroma_at: int = 0
    colour: tuple[float, ...] = NO_COLOUR
    shape: tuple[int, ...] = ()
    picture: weakref.ref[Any] | None = None
    current: bool = False
    readers: set[Stream] = field(default_factory=set)


class FrameUploadCache:
    """All uploaded frames of one device. For one thread at a time."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.frames = PinnedFrameMemory(device)
        self._stream = device.stream()
        self._uploads: list[Upload] = []
        self._at_once = 1  # most frames seen in one turn

    def new_frames(self) -> None:
        """Mark all uploads as outdated, also where an array is reused for a new frame."""
        for place in self._uploads:
            place.current = False

    def upload(self, image: Pixels, reader: Stream) -> Upload:
        """Return the frame on the device, uploading it if needed; `reader` is made to wait for it.

        Raises `EngineError` when it is not uint8 (height, width, 3).
        """
        if not isinstance(image, Nv12Image):
            _check(image)
        place = next((p for p in self._uploads if p.current and p.picture and p.picture() is image), None)
        if place is None:
            place = self._upload(image)
        reader.after(self._stream)
        place.readers.add(reader)
        return place

    def close(self) -> None:
        """Free all memory."""
        for place in self._uploads:
            place.memory.free()
        self._uploads.clear()

    def _upload(self, image: Pixels) -> Upload:
        direct = self._direct_bytes(image)
        if direct is not None:
            nbytes = direct.nbytes
        else:
            nbytes = image.data.nbytes if isinstance(image, Nv12Image) else image.size
        place = self._place_for(image, nbytes)
        self._uploads.remove(place)  # in order of use: the buffer taken next has no pending crops
        self._uploads.append(place)
        for reader in place.readers:  # pending crops of the previous frame in this buffer
            self._stream.after(reader)
        place.readers.clear()
        self._stream.synchronize()  # the staging memory is free again, and the previous frame's own memory
        place.source = image if direct is not None else None
        given = direct if direct is not None else self._staged(place, image, nbytes)
        self._device.upload(place.memory, given, self._stream)
        place.shape = image.shape
        if isinstance(image, Nv12Image):
            place.step, place.pitch = 1, image.data.shape[1]
            place.chroma_at, place.colour = image.luma_rows * place.pitch, image.colour.coefficients
        else:
            place.step = image.strides[1] if direct is not None else 3
            place.pitch, place.chroma_at, place.colour = image.shape[1] * place.step, 0, NO_COLOUR
        place.picture, place.current = weakref.ref(image), True
        return place

    def _direct_bytes(self, image: Pixels) -> Image | None:
        """A frame that the device may copy from where it lies, uint8 (nbytes,); None for others."""
        if isinstance(image, Nv12Image):
            whole = image.data.flags.c_contiguous and self.frames.holds(image.data)
            return image.data.reshape(-1) if whole else None
        step = image.strides[1]
        whole = image.strides == (image.shape[1] * step, step, 1) and step in (3, 4)
        if not whole or not self.frames.holds(image):
            return None
        nbytes = image.shape[0] * image.shape[1] * step
        return np.lib.stride_tricks.as_strided(image, (nbytes,), (1,))  # with what lies between its pixels

    def _staged(self, place: Upload, image: Pixels, nbytes: int) -> Array:
        """A copy of the frame in page-locked memory, uint8 (nbytes,)."""
        if place.staging is None:
            place.staging = self._device.pinned((place.memory.nbytes,), np.uint8)
        flat = place.staging[:nbytes]
        packed = image.data if isinstance(image, Nv12Image) else packed_bgr(image)
        np.copyto(flat.reshape(packed.shape), packed)
        return flat

    def _place_for(self, image: Pixels, nbytes: int) -> Upload:
        """Free buffer, best of the same size; else a new one."""
        free = [p for p in self._uploads if not p.current]
        self._at_once = max(self._at_once, len(self._uploads) - len(free) + 1)
        if len(self._uploads) < PLACES_A_CAMERA * self._at_once or not free:
            self._uploads.append(Upload(self._device.memory(nbytes)))
            return self._uploads[-1]
        place = next((p for p in free if p.shape == image.shape and p.memory.nbytes >= nbytes), free[0])
        if place.memory.nbytes < nbytes:
            log.info("frame_grew", was=place.shape[:2][::-1], now=image.shape[:2][::-1])
            self._stream.synchronize()
            place.memory.free()
            self._uploads[self._uploads.index(place)] = place = Upload(self._device.memory(nbytes))
        return place


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise EngineError(
            f"a picture is {image.dtype} {image.shape}, wanted is uint8 (height, width, 3); the camera's "
            "source gives something else than BGR"
        )
