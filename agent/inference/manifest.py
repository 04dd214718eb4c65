"""Engine manifests: `engines/<name>/manifest.toml`, read into a frozen model.

Only the manifest knows a network's size, layout, normalisation, margin and output names. Engines are searched
beside the package (a checkout, an editable install), then in `share/gesture-agent/engines` of the Python
prefix (an installed wheel).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from agent.config.regular_file import is_visible
from agent.config.shipped import shipped_folder
from agent.config.toml_document import read
from agent.errors import CannotStart, ConfigError, ModelError

Task = Literal["gesture", "pose-detector", "pose-landmark", "pose-maps", "palm-detector", "hand-landmark"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileSource(_Model):
    """An ONNX file beside the manifest."""

    kind: Literal["file"]
    file: str
    sha256: Sha256
    origin: str | None = None  # source of an imported file
    origin_sha256: Sha256 | None = None  # of that file before decoding


class WheelSource(_Model):
    """A TFLite file within a wheel of the package registry; converted to ONNX when fetched."""

    kind: Literal["wheel"]
    package: str
    version: str
    python: str  # the wheel's tags: every machine fetches the same file
    platform: str
    member: str
    sha256: Sha256  # of the member
    auto_exposure: bool = False  # whether the network brightens dark images
    outputs: dict[str, str]  # output name -> tensor name in the TFLite file


class JoinSource(_Model):
    """An engine `base` whose outputs feed `head`, an ONNX file beside the manifest."""

    kind: Literal["join"]
    base: str
    head: str
    sha256: Sha256  # of the head


class EnsembleSource(_Model):
    """Two gesture engines with the same labels whose log probabilities are averaged."""

    kind: Literal["ensemble"]
    first: str  # provides the inputs and the other outputs of the ensemble
    second: str  # classifies an upright crop, cut from the first's input
    weight: Annotated[float, Field(gt=0, lt=1)]  # of the second; the first has 1 - weight
    auto_exposure: bool = False  # whether the second's image is brightened where dark
    bias: dict[str, float] = {}  # label -> added to its mean log probability: corrects a common bias of both


class ViewSource(_Model):
    """A gesture engine for upright crops, adapted to the input of another engine."""

    kind: Literal["view"]
    of: str  # the engine whose input it takes
    network: str
    auto_exposure: bool = False  # whether the image is brightened where dark


class ImportSource(_Model):
    """A file that the user has to provide, because its owner does not permit distribution."""

    kind: Literal["import"]
    hint: str  # where to obtain it and how to import it


class NgcSource(_Model):
    """A file on NVIDIA's NGC, fetched after the user has accepted its licence, or provided by the user."""

    kind: Literal["ngc"]
    url: str
    page: str  # of its model card and licence
    key: str = "nvidia_tlt"  # of an .etlt file


Source = Annotated[
    FileSource | WheelSource | JoinSource | EnsembleSource | ViewSource | ImportSource | NgcSource,
    Field(discriminator="kind"),
]


class Input(_Model):
    """Input of a network, with the normalisation value = (pixel - offset) * scale."""

    name: str
    shape: tuple[Literal["N"] | int, int, int, int]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    color: Literal["RGB", "BGR"] = "RGB"
    offset: float = 0.0
    scale: float = 1 / 255
    angle: str | None = None  # a second input (N, 1): rotation of the crop, radians clockwise

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.shape[2], self.shape[3]) if self.layout == "NCHW" else (self.shape[1], self.shape[2])

    @property
    def batch(self) -> int | None:
        """Images in one run; None where it is dynamic."""
        return None if self.shape[0] == "N" else int(self.shape[0])


class Crop(_Model):
    """How a hand is cropped for a classifier."""

    margin: Annotated[float, Field(gt=0, le=10)] = 1.0  # side of the crop / side of the hand box
    rotate: bool = True  # whether the fingers point up; false: an upright square


class Anchors(_Model):
    """The grid of an SSD detector (MediaPipe's SsdAnchorsCalculator, square anchors of fixed size)."""

    strides: tuple[int, ...]
    keypoints: Annotated[int, Field(ge=2)]


class Output(_Model):
    """Names of a network's outputs; None where it has none. N is the number of images in the batch."""

    scores: str | None = None  # gesture: (N, labels) probabilities; detectors: (N, anchors, 1) logits
    boxes: str | None = None  # detectors: (N, anchors, 4 + 2 * keypoints), pixels of the input
    landmarks: str | None = None  # (N, K, 3) or flat, pixels of the input
    world: str | None = None  # (N, 63) metres
    presence: str | None = None  # (N, 1) probability that a hand or person is present
    handedness: str | None = None  # (N, 1) probability of a right hand
    embedding: str | None = None


class Manifest(_Model):
    """Description of one engine: task, source, input, crop and outputs."""

    name: str
    task: Task
    summary: str
    license: str
    labels: tuple[str, ...] = ()
    joints: tuple[str, ...] = ()
    source: Source
    second: str | None = (
        None  # of an ensemble: the engine that is its second by itself, to be left out at times
    )
    follower: str | None = None  # of an ensemble: the engine that confirms settled gestures for its first
    input: Input
    crop: Crop = Crop()
    anchors: Anchors | None = None
    output: Output
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Folder of the manifest."""
        return self._folder

    @model_validator(mode="after")
    def _has_what_its_task_needs(self) -> Manifest:
        needs: dict[str, tuple[str, ...]] = {
            "gesture": ("labels", "output.scores"),
            "pose-detector": ("anchors", "output.scores", "output.boxes"),
            "pose-landmark": ("joints", "output.landmarks", "output.presence"),
            "pose-maps": ("joints",),
            "palm-detector": ("anchors", "output.scores", "output.boxes"),
            "hand-landmark": ("output.landmarks", "output.presence", "output.handedness"),
        }
        for need in needs[self.task]:
            owner = self.output if need.startswith("output.") else self
            if not getattr(owner, need.removeprefix("output.")):
                raise ValueError(f"a {self.task} engine needs {need}")
        return self


def engines_folder() -> Path:
    """Return the folder with one folder for each engine. Raises `ModelError` when there is none."""
    try:
        return shipped_folder("engines") / "engines"
    except CannotStart as exc:
        raise ModelError(str(exc)) from exc


def engine_names(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of all engines with a manifest, in order."""
    names = (path.parent.name for path in (folder or engines_folder()).glob("*/manifest.toml"))
    return tuple(sorted(name for name in names if is_visible(name)))


def load_manifest(name: str, folder: Path | None = None) -> Manifest:
    """Load an engine's manifest. Raises `ModelError` where it is unknown or invalid."""
    folder = folder or engines_folder()
    path = folder / name / "manifest.toml"
    if not path.is_file():
        known = ", ".join(engine_names(folder)) or "none"
        raise ModelError(f"{name}: no such engine, {path} does not exist; there are: {known}")
    there = path.stat()
    manifest = _manifest(path, there.st_mtime_ns, there.st_size, there.st_ino)
    if manifest.name != name:
        raise ModelError(f"{path}: name is {manifest.name!r}, its folder says {name!r}; make them the same")
    return manifest


@lru_cache(maxsize=64)
def _manifest(path: Path, _mtime_ns: int, _size: int, _inode: int) -> Manifest:
    """Cached for an unchanged file, because every recipe reads those that it is made of again."""
    try:
        manifest = Manifest.model_validate(read(path).data)
    except ConfigError as exc:
        raise ModelError(str(exc)) from exc
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in exc.errors()
        )
        raise ModelError(f"{path}: {problems}") from exc
    manifest._folder = path.parent  # noqa: SLF001 (its own module)
    return manifest
