"""Assembly of joints into people, by part affinity fields, in greedy order of limb scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from agent.core.types import Floats
from agent.inference.bodies.peaks import Ints, Peaks, find_peaks
from agent.inference.bodies.skeleton import JOINTS, LIMB_OF, SPARE, Skeleton

ALONG = np.linspace(0, 1, 10, dtype=np.float32)  # sample positions along a limb (NVIDIA: 10)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Thresholds of the decoder, with NVIDIA's names in brackets."""

    peak: float = 0.1  # minimum of a joint's heatmap (heatmap threshold; TAO 0.1, DeepStream 0.05)
    field: float = 0.05  # minimum of the field along a limb, at `enough` of the samples (paf threshold)
    enough: int = 8  # of the ten samples
    parts: int = 4  # minimum number of joints of a person
    score: float = 0.4  # minimum score of a person; see `Skeleton.score`


@dataclass(slots=True)
class _Body:
    """A person under assembly: the peak of each joint, and the sum of scores."""

    peaks: dict[int, int] = field(default_factory=dict)
    total: float = 0.0


def decode(
    heatmaps: Floats, fields: Floats, size: tuple[int, int], decoding: Decoding | None = None
) -> list[Skeleton]:
    """Decode the skeletons of one image, highest score first, in px of an input of `size` (height, width).

    `heatmaps` is float32 (h, w, 19), `fields` float32 (h', w', 38); their strides follow from `size`.
    """
    by = decoding or Decoding()
    peaks = find_peaks(heatmaps, by.peak)
    return assemble(peaks, (heatmaps.shape[0], heatmaps.shape[1]), fields, size, by)


def assemble(
    peaks: Peaks, cells: tuple[int, int], fields: Floats, size: tuple[int, int], by: Decoding
) -> list[Skeleton]:
    """Assemble peaks, found in a map of `cells` (height, width), into skeletons, highest score first."""
    scale = np.array([size[1] / cells[1], size[0] / cells[0]], np.float32)
    points = np.stack([peaks.x, peaks.y], axis=1) * scale
    limbs = _limbs(peaks.joint, points, fields, size, by)
    crowd = _PersonAssembler(peaks)
    for limb in zip(*(a.tolist() for a in (limbs.start, limbs.end, limbs.kind, limbs.score)), strict=True):
        crowd.add(*limb)
    people = []
    for body in crowd.bodies():
        score = body.total / len(body.peaks)
        if len(body.peaks) >= by.parts and score >= by.score:
            joints = np.zeros((len(JOINTS), 3), np.float32)
            rows, tops = list(body.peaks), list(body.peaks.values())
            joints[rows, :2], joints[rows, 2] = points[tops], peaks.score[tops]
            people.append(Skeleton(joints, float(score)))
    return sorted(people, key=lambda person: -person.score)


@dataclass(frozen=True, slots=True, eq=False)
class _Limbs:
    """Candidate limbs between pairs of peaks, highest score first, spare limbs last."""

    start: Ints
    end: Ints
    kind: Ints
    score: Floats


def _limbs(joint: Ints, points: Floats, fields: Floats, size: tuple[int, int], by: Decoding) -> _Limbs:
    """Score all candidate limbs; `points` is float32 (N, 2), pixels of the input."""
    kinds = LIMB_OF[joint[:, None], joint[None, :]]
    start, end = np.nonzero(kinds >= 0)
    kind = kinds[start, end]
    way = points[end] - points[start]
    length = np.hypot(way[:, 0], way[:, 1])
    height, width = fields.shape[:2]
    places = points[start, None] + way[:, None] * ALONG[:, None]
    columns = np.clip((places[..., 0] * np.float32(width / size[1])).astype(np.int64), 0, width - 1)
    rows = np.clip((places[..., 1] * np.float32(height / size[0])).astype(np.int64), 0, height - 1)
    cells = np.ascontiguousarray(fields).reshape(-1)
    at = (rows * width + columns) * fields.shape[2] + 2 * kind[:, None]
    unit = way / np.maximum(length, 1e-6)[:, None]
    agree = cells[at] * unit[:, :1] + cells[at + 1] * unit[:, 1:]
    far = np.minimum(0.5 * size[1] / np.maximum(length, 1e-6) - 1, 0)  # penalty for long limbs
    score = agree.mean(axis=1) + far
    good = ((agree > by.field).sum(axis=1) >= by.enough) & (score > 0) & (length > 0)
    order = np.lexsort((-score[good], np.isin(kind[good], list(SPARE))))
    kept = np.flatnonzero(good)[order]
    return _Limbs(start[kept], end[kept], kind[kept], np.asarray(score[kept], np.float32))


class _PersonAssembler:
    """Assembles people limb by limb; a person has one joint of a kind, a joint one limb of a kind."""

    def __init__(self, peaks: Peaks) -> None:
        self._kind, self._height = peaks.joint.tolist(), peaks.score.tolist()
        self._owner: dict[int, _Body] = {}
        self._taken: set[tuple[int, int]] = set()

    def add(self, start: int, end: int, limb: int, score: float) -> None:
        """Add a limb, unless it contradicts one with a higher score."""
        if (limb, start) in self._taken or (limb, end) in self._taken:
            return
        one, other = self._owner.get(start), self._owner.get(end)
        if one and other:
            if one is not other and not self._merge(one, other):
                return
            body = one
        elif one or other or limb not in SPARE:
            body = one or other or _Body()
        else:
            return
        if self._give(body, [peak for peak in (start, end) if self._owner.get(peak) is not body]):
            self._taken |= {(limb, start), (limb, end)}
            body.total += score

    def bodies(self) -> list[_Body]:
        """The people assembled so far."""
        return list({id(body): body for body in self._owner.values()}.values())

    def _merge(self, one: _Body, other: _Body) -> bool:
        """Merge two people; False where both have a joint of the same kind."""
        if one.peaks.keys() & other.peaks.keys():
            return False
        self._owner.update(dict.fromkeys(other.peaks.values(), one))
        one.peaks |= other.peaks
        one.total += other.total
        return True

    def _give(self, body: _Body, peaks: list[int]) -> bool:
        """Assign joints to a person; False where it already has one of that kind."""
        if any(self._kind[peak] in body.peaks for peak in peaks):
            return False
        for peak in peaks:
            body.peaks[self._kind[peak]] = peak
            body.total += self._height[peak]
            self._owner[peak] = body
        return True
