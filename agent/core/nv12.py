"""NV12 images: a plane of brightness and one of colours at half the size, as video decoders write them.

1.5 bytes a pixel instead of BGR's 3 or BGRx's 4. A GPU reads them as they are; `bgr` converts where something
on the CPU looks at the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
Shorts: TypeAlias = npt.NDArray[np.int16]

FRACTION = 5  # bits behind the point of `_tables`: the sum of two fits 16 bits
NEUTRAL = 128  # a colour difference of 0


@dataclass(frozen=True, slots=True)
class YuvColour:
    """How Y, U and V become colours: shares of red and blue in the brightness, and the range of the bytes.

    Limited range: black is 16, white 235, colour differences 16 to 240 (ITU-R BT.601, BT.709). Full: 0 to
    255 (JPEG).
    """

    red: float = 0.299
    blue: float = 0.114
    full_range: bool = False

    @property
    def black(self) -> int:
        """The Y of black."""
        return 0 if self.full_range else 16

    @property
    def coefficients(self) -> tuple[float, float, float, float, float, float]:
        """Black, then factors: of Y - black, of U - 128 for blue, U and V for green, V for red."""
        luma, chroma = (1.0, 1.0) if self.full_range else (255 / 219, 255 / 224)
        green = 1 - self.red - self.blue
        to_blue, to_red = 2 * (1 - self.blue) * chroma, 2 * (1 - self.red) * chroma
        return (
            float(self.black), luma, to_blue,
            -to_blue * self.blue / green, -to_red * self.red / green, to_red,
        )  # fmt: skip


BT601 = YuvColour()
BT709 = YuvColour(0.2126, 0.0722)


class Nv12Image:
    """One image of `height` x `width` px.

    `data` is uint8 (rows, pitch), contiguous: `height` rows of Y, one more where that is odd, then half as
    many of pairs of U and V. `pitch` is at least the width, even.
    """

    def __init__(self, data: Bytes, height: int, width: int, colour: YuvColour = BT601) -> None:
        """Raises `ValueError` where `data` has another size."""
        if data.shape[0] != rows_of(height) or data.shape[1] < width + width % 2:
            raise ValueError(
                f"NV12 of {width} x {height} has {rows_of(height)} rows of at least {width + width % 2} "
                f"bytes, not {data.shape[0]} of {data.shape[1]}"
            )
        self.data, self.colour = data, colour
        self.shape = height, width, 3  # as of its BGR image

    @property
    def luma(self) -> Bytes:
        """Y, uint8 (height, width)."""
        height, width, _ = self.shape
        return self.data[:height, :width]

    @property
    def luma_rows(self) -> int:
        """Rows of `data` before its plane of colours."""
        height = self.shape[0]
        return height + height % 2

    @property
    def content(self) -> Bytes:
        """`data` without what lies between its rows."""
        return self.data[:, : self.shape[1] + self.shape[1] % 2]

    @property
    def is_black(self) -> bool:
        """Whether no pixel is brighter than black."""
        return int(self.luma.max(initial=0)) <= self.colour.black

    @cached_property
    def bgr(self) -> Bytes:
        """The image as uint8 (height, width, 3), converted when first asked for; chroma is repeated."""
        height, width, _ = self.shape
        return self._converted(1)[:height, :width]

    def thinned(self, step: int) -> Bytes:
        """Return every `step`-th pixel of `bgr` across and down, without the others; `step` is even."""
        return self._converted(step)

    def _converted(self, step: int) -> Bytes:
        """Whole blocks of 2 x 2 (`step` 1), or every `step`-th pixel."""
        height, width, _ = self.shape
        high, wide = height + height % 2, width + width % 2
        if step == 1:
            luma, chroma = self.data[:high, :wide], self.data[high:, :wide]
        else:
            luma = self.data[:height:step, :width:step]
            chroma = self.data[high :: step // 2, :wide]
        pairs = chroma.reshape(len(chroma), wide // 2, 2)[:, :: max(step // 2, 1)]
        across = 2 if step == 1 else 1
        to_y, by_u, by_uv, by_v = _tables(self.colour)
        u, v = pairs[..., 0], pairs[..., 1]
        bright = to_y[luma].reshape(len(pairs), across, -1)
        image = np.empty((*luma.shape, 3), np.uint8)
        for channel, shift in enumerate((by_u[u], by_uv[0][u] + by_uv[1][v], by_v[v])):
            value = bright + np.repeat(shift, across, axis=1)[:, None]
            value >>= FRACTION
            image[..., channel] = np.clip(value, 0, 255, out=value).reshape(luma.shape)
        return image


def rows_of(height: int) -> int:
    """Return the rows of an NV12 image's data."""
    even = height + height % 2
    return even + even // 2


@lru_cache(maxsize=8)
def _tables(colour: YuvColour) -> tuple[Shorts, Shorts, tuple[Shorts, Shorts], Shorts]:
    """What each byte adds, in 2^-`FRACTION`: Y, with a half to round; U to blue; U, V to green; V to red."""
    black, luma, blue, green_u, green_v, red = colour.coefficients
    one, value = 1 << FRACTION, np.arange(256)

    def steps(factor: float, zero: float, more: float = 0.0) -> Shorts:
        table: Shorts = np.rint(((value - zero) * factor + more) * one).astype(np.int16)
        return table

    greens = steps(green_u, NEUTRAL), steps(green_v, NEUTRAL)
    return steps(luma, black, 0.5), steps(blue, NEUTRAL), greens, steps(red, NEUTRAL)
