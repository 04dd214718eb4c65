"""What an engine is: `engines/<name>/manifest.toml`, read into a frozen model.

The manifest is the only place that knows a network's size, layout, normalisation, margin and output names;
the code that runs a network asks it. Engines are looked for beside the package (a checkout, an editable
install), then in `share/gesture-agent/engines` of the Python prefix (an installed wheel).
"""

from __future__ import annotations

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
    """An ONNX file that lies beside the manifest."""

    kind: Literal["file"]
    file: str
    sha256: Sha256
    origin: str | None = None  # of an imported file: where it came from
    origin_sha256: Sha256 | None = None  # of that file, before it was decoded


class WheelSource(_Model):
    """A TFLite file inside a wheel of the package registry; converted to ONNX when fetched."""

    kind: Literal["wheel"]
    package: str
    version: str
    python: str  # the wheel's tags: the same file is fetched on every machine, whatever runs there
    platform: str
    member: str
    sha256: Sha256  # of the member
    auto_exposure: bool = False  # a dark picture is brightened first, inside the network
    outputs: dict[str, str]  # our output name -> tensor name in the TFLite file


class JoinSource(_Model):
    """`base`, another engine, whose outputs feed `head`, an ONNX file beside the manifest."""

    kind: Literal["join"]
    base: str
    head: str
    sha256: Sha256  # of the head


class EnsembleSource(_Model):
    """Two gesture engines with the same labels whose probabilities are averaged, as logarithms."""

    kind: Literal["ensemble"]
    first: str  # its inputs and its other outputs are those of the ensemble
    second: str  # reads an upright crop, cut from the first's
    weight: Annotated[float, Field(gt=0, lt=1)]  # of the second's word; the first's is what is left
    auto_exposure: bool = False  # the second's picture is brightened where it is dark
    bias: dict[str, float] = {}  # label -> added to the logarithm of its mean: what both claim too often


class ViewSource(_Model):
    """A gesture engine that reads an upright crop, made to read the input of another one."""

    kind: Literal["view"]
    of: str  # whose input it takes
    network: str
    auto_exposure: bool = False  # the picture is brightened where it is dark


class ImportSource(_Model):
    """A file that the user has to bring, because its owner does not let us ship it."""

    kind: Literal["import"]
    hint: str  # where to get it and how to import it


class NgcSource(_Model):
    """A file on NVIDIA's NGC: fetched once the user has accepted its licence, or brought by the user."""

    kind: Literal["ngc"]
    url: str
    page: str  # where its card and licence are
    key: str = "nvidia_tlt"  # of an .etlt file


Source = Annotated[
    FileSource | WheelSource | JoinSource | EnsembleSource | ViewSource | ImportSource | NgcSource,
    Field(discriminator="kind"),
]


class Input(_Model):
    """How a picture becomes numbers: value = (pixel - offset) * scale."""

    name: str
    shape: tuple[Literal["N"] | int, int, int, int]
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    color: Literal["RGB", "BGR"] = "RGB"
    offset: float = 0.0
    scale: float = 1 / 255
    angle: str | None = None  # a second input (N, 1): how far the crop was turned, radians clockwise

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.shape[2], self.shape[3]) if self.layout == "NCHW" else (self.shape[1], self.shape[2])

    @property
    def batch(self) -> int | None:
        """Pictures a run; None where any number goes."""
        return None if self.shape[0] == "N" else int(self.shape[0])


class Crop(_Model):
    """How the picture of a hand is cut for a classifier."""

    margin: Annotated[float, Field(gt=0, le=10)] = 1.0  # side of the crop / side of the hand box
    rotate: bool = True  # fingers up; false: an upright square


class Anchors(_Model):
    """The grid of an SSD detector (MediaPipe's SsdAnchorsCalculator, square anchors of fixed size)."""

    strides: tuple[int, ...]
    keypoints: Annotated[int, Field(ge=2)]


class Output(_Model):
    """Names of a network's outputs; None where it has none. N is the number of pictures in the batch."""

    scores: str | None = None  # gesture: (N, labels) probabilities; detectors: (N, anchors, 1) logits
    boxes: str | None = None  # detectors: (N, anchors, 4 + 2 * keypoints), pixels of the input
    landmarks: str | None = None  # (N, K, 3) or flat, pixels of the input
    world: str | None = None  # (N, 63) metres
    presence: str | None = None  # (N, 1) probability that a hand or person is there at all
    handedness: str | None = None  # (N, 1) probability of a right hand
    embedding: str | None = None


class Manifest(_Model):
    """One engine."""

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
    input: Input
    crop: Crop = Crop()
    anchors: Anchors | None = None
    output: Output
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Where the manifest lies."""
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
    """The folder with one folder per engine. Raises `ModelError` when there is none."""
    try:
        return shipped_folder("engines") / "engines"
    except CannotStart as exc:
        raise ModelError(str(exc)) from exc


def engine_names(folder: Path | None = None) -> tuple[str, ...]:
    """Every engine that has a manifest, in name order."""
    names = (path.parent.name for path in (folder or engines_folder()).glob("*/manifest.toml"))
    return tuple(sorted(name for name in names if is_visible(name)))


def load_manifest(name: str, folder: Path | None = None) -> Manifest:
    """Raises `ModelError` when the engine is unknown or its manifest does not hold up."""
    folder = folder or engines_folder()
    path = folder / name / "manifest.toml"
    if not path.is_file():
        known = ", ".join(engine_names(folder)) or "none"
        raise ModelError(f"{name}: no such engine, {path} does not exist; there are: {known}")
    try:
        manifest = Manifest.model_validate(read(path).data)
    except ConfigError as exc:
        raise ModelError(str(exc)) from exc
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in exc.errors()
        )
        raise ModelError(f"{path}: {problems}") from exc
    if manifest.name != name:
        raise ModelError(f"{path}: name is {manifest.name!r}, its folder says {name!r}; make them the same")
    manifest._folder = path.parent  # noqa: SLF001 (its own module)
    return manifest
