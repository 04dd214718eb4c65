"""Hand classifier: runs the gesture or landmark network on crops, as its manifest describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.core.taught import StaleTaughtHead, TaughtHead
from agent.core.types import Box, Floats, Image, Pixels, bgr_of
from agent.core.work_plan import ImageResult
from agent.errors import EngineError, ModelError
from agent.inference.cropping import run_on_crops, supports_device_crop
from agent.inference.crops import cut, fill_batch, points_in_picture
from agent.inference.engine import Engine
from agent.inference.gestures.follower import Follower
from agent.inference.gestures.second import SecondClassifier
from agent.inference.manifest import Manifest


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """Outputs of a network for one hand; None where it has no such output.

    `landmarks` is float32 (21, 3): x and y in px of the image, z to the same scale. `right` is the
    probability of a right hand, `presence` that there is a hand at all.
    """

    box: Box  # of the crop, margin included
    scores: Floats | None = None
    landmarks: Floats | None = None
    world: Floats | None = None
    presence: float | None = None
    right: float | None = None
    embedding: Floats | None = None
    image_result: ImageResult | None = None  # of the image classifier, where it is a separate network

    @property
    def points(self) -> Floats | None:
        """The landmarks in the image: float32 (21, 2) px."""
        return None if self.landmarks is None else self.landmarks[:, :2]


@dataclass(frozen=True, slots=True, eq=False)
class HandCrop:
    """Input of the classifier for one hand: uint8 (height, width, 3) in the image's colours, cut along `box`.

    For an engine that crops on its device `image` is the whole image and `whole` is true. `image_result` is
    the image classifier's last result for this hand, `at` the time of the frame in seconds, None for a
    photograph.
    """

    image: Pixels
    box: Box  # margin included
    whole: bool = False
    image_result: ImageResult | None = None
    at: float | None = None


class HandClassifier:
    """A hand network: `gesture` (probabilities, perhaps landmarks) or `hand-landmark` (landmarks only).

    `taught` adds the user's own gestures; the network must have an embedding. `second` is the image
    classifier of an ensemble whose other part is `engine`, `follower` the smaller network that takes the
    place of `engine` for settled gestures.
    """

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        taught: TaughtHead | StaleTaughtHead | None = None,
        second: SecondClassifier | None = None,
        follower: Follower | None = None,
    ) -> None:
        self.manifest, self._engine, self._taught, self._second = manifest, engine, taught, second
        self._follower = follower
        self._names = {key: name for key, name in manifest.output.model_dump().items() if name}
        _check(engine, manifest)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores: the manifest's, then the taught ones."""
        return self._taught.labels if self._taught else self.manifest.labels

    def crop_box(self, hand: Box) -> Box:
        """Return the box to crop for a hand box: with the manifest's margin, upright where it says so."""
        crop = self.manifest.crop
        return (hand if crop.rotate else hand.upright()).scaled(crop.margin)

    def crop(
        self, image: Pixels, hand: Box, image_result: ImageResult | None = None, at: float | None = None
    ) -> HandCrop:
        """Crop a hand from an image as the manifest describes; `image_result` and `at` as in `HandCrop`."""
        box = self.crop_box(hand)
        if supports_device_crop(self._engine):
            return HandCrop(image, box, True, image_result, at)
        return HandCrop(cut(image, box, self.manifest.input.size), box, False, image_result, at)

    def read(self, image: Image, hands: Sequence[Box]) -> list[Readout]:
        """Classify all hands of one image (BGR) in one batch. Raises `EngineError`."""
        return self.read_crops([self.crop(image, hand) for hand in hands])

    def read_crops(self, crops: Sequence[HandCrop]) -> list[Readout]:
        """Classify crops (BGR), which may come from several cameras.

        Raises `EngineError` where the network fails or its outputs contradict the manifest.
        """
        step = self.manifest.input.batch or max(len(crops), 1)
        batches = (crops[start : start + step] for start in range(0, len(crops), step))
        return [readout for batch in batches for readout in self._read_batch(batch)]

    @property
    def runs_beside(self) -> bool:
        """Whether `start_crops` returns while the network still runs, on a device."""
        return supports_device_crop(self._engine) and not self.manifest.input.batch

    def start_crops(self, crops: Sequence[HandCrop]) -> Callable[[], list[Readout]]:
        """Start classifying crops where the engine can; return a function that waits for the readouts."""
        engine, spec = self._engine, self.manifest.input
        if not supports_device_crop(engine) or spec.batch or not 0 < len(crops) <= engine.max_batch:
            return lambda: self.read_crops(crops)
        pieces = [(crop.image, crop.box) for crop in crops]
        started = engine.start_pieces(pieces, spec, self._angles(crops))
        return lambda: self._readouts(crops, started.result(), len(crops))

    def _angles(self, crops: Sequence[HandCrop]) -> dict[str, Floats]:
        name = self.manifest.input.angle
        return {name: np.array([[crop.box.angle] for crop in crops], np.float32)} if name else {}

    def _read_batch(self, crops: Sequence[HandCrop]) -> list[Readout]:
        spec = self.manifest.input
        spare = (spec.batch or 0) - len(crops)  # a network with a fixed batch needs a full one
        fill = [*crops, *[crops[-1]] * spare]
        more = self._angles(fill)
        if fill and all(crop.whole for crop in fill):
            results = run_on_crops(self._engine, [(crop.image, crop.box) for crop in fill], spec, more)
            return self._readouts(crops, results, len(fill))
        inputs = {spec.name: fill_batch([bgr_of(crop.image) for crop in fill], spec), **more}
        if self._second is None or not crops:
            return self._readouts(crops, self._engine.run(inputs), len(fill))
        scores = self._names["scores"]
        image_results, at = [crop.image_result for crop in fill], [crop.at for crop in fill]
        confirmed: frozenset[int] = frozenset()
        if self._follower:
            results, confirmed = self._follower.run(self._engine, inputs, image_results, at)
        else:
            results = self._engine.run(inputs)
        results[scores], updated = self._second.judge(inputs, results[scores], image_results, at)
        read = self._readouts(crops, results, len(fill), updated)
        return [replace(one, embedding=None) if row in confirmed else one for row, one in enumerate(read)]

    def _readouts(
        self,
        crops: Sequence[HandCrop],
        results: dict[str, Floats],
        count: int,
        image_results: Sequence[ImageResult | None] = (),
    ) -> list[Readout]:
        """Readouts of a run over `count` crops, of which `crops` are the first."""
        names = self._names
        if short := [n for n in names.values() if n not in results or len(results[n]) != count]:
            raise EngineError(f"{self.manifest.name}: {count} crops in, outputs {short} do not have as many")
        return [
            self._readout(
                crop.box,
                {key: results[name][row] for key, name in names.items()},
                image_results[row] if image_results else None,
            )
            for row, crop in enumerate(crops)
        ]

    def _readout(self, box: Box, row: dict[str, Floats], image_result: ImageResult | None) -> Readout:
        landmarks = row.get("landmarks")
        if landmarks is not None:
            landmarks = points_in_picture(landmarks.reshape(21, 3), box, self.manifest.input.size)
        presence, right = row.get("presence"), row.get("handedness")
        scores, embedding = row.get("scores"), row.get("embedding")
        if self._taught and scores is not None:
            scores = self._taught.scores(scores, embedding)
        return Readout(
            box=box,
            scores=scores,
            landmarks=landmarks,
            world=row.get("world"),
            presence=None if presence is None else float(presence.reshape(-1)[0]),
            right=None if right is None else float(right.reshape(-1)[0]),
            embedding=embedding,
            image_result=image_result,
        )


def _check(engine: Engine, manifest: Manifest) -> None:
    """Raise `ModelError` where the network contradicts its manifest."""
    spec = manifest.input
    for name, want in [(spec.name, spec.shape), *([(spec.angle, ("N", 1))] if spec.angle else [])]:
        have = engine.inputs.get(name)
        if have is None:
            raise ModelError(
                f'{manifest.name}: has no input "{name}", it has {list(engine.inputs)}; fix its manifest'
            )
        if len(have) != len(want) or any(
            isinstance(h, int) and isinstance(w, int) and h != w for h, w in zip(have, want, strict=True)
        ):
            raise ModelError(
                f'{manifest.name}: input "{name}" is {have}, the manifest says {want}; '
                f"re-export it or fix engines/{manifest.name}/manifest.toml"
            )
    for name in filter(None, manifest.output.model_dump().values()):
        if name not in engine.outputs:
            raise ModelError(
                f'{manifest.name}: has no output "{name}", it has {list(engine.outputs)}; fix its manifest'
            )
    scores = engine.outputs.get(manifest.output.scores or "", ())
    if manifest.labels and scores and isinstance(scores[-1], int) and scores[-1] != len(manifest.labels):
        raise ModelError(
            f"{manifest.name}: gives {scores[-1]} scores, the manifest has {len(manifest.labels)} labels"
        )
