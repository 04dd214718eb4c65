"""The perception as the settings ask for it: which networks, loaded from where, run by what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agent.config.settings import RecognitionSettings
from agent.core.taught import Dormant, TaughtHead
from agent.errors import ModelError
from agent.inference.bodies.blazepose import PoseNet
from agent.inference.bodies.bodyposenet import BodyPoseNet
from agent.inference.bodies.person import BodyNet
from agent.inference.detector import Detector
from agent.inference.engine import (
    REMOTE_BACKENDS,
    Engine,
    EngineOptions,
    LooksItself,
    RemoteEngine,
    backend_of,
    connect_engine,
    load_engine,
)
from agent.inference.files.store import manifest_of
from agent.inference.gestures.reader import HandReader
from agent.inference.gestures.taught import head_for
from agent.inference.hands.palm import PalmFinder
from agent.inference.manifest import Manifest
from agent.inference.models import classifier_of, find, runs_elsewhere
from agent.inference.perception import Perception


def build_perception(
    settings: RecognitionSettings,
    cache_dir: Path,
    engines: Path | None = None,
    *,
    taught: Path | None = None,
    waiting: Callable[[str, float], None] = lambda _line, _seconds: None,
) -> Perception:
    """All networks that the settings ask for, loaded. Raises `CannotStart` that says what to do.

    `taught` is the folder where the user's own gestures are; None leaves them out. `waiting` hears of what
    takes long, as in `EngineOptions`.
    """
    here = "auto" if settings.backend in REMOTE_BACKENDS else settings.backend
    opened: list[Engine] = []
    remotes: list[RemoteEngine] = []
    models: dict[str, str] = {}

    def load(name: str) -> tuple[Engine, Manifest]:
        manifest = manifest_of(name, cache_dir, engines)
        if runs_elsewhere(name, settings):
            remotes.append(connect_engine(manifest, settings.triton))
            models[name] = remotes[-1].address
            opened.append(remotes[-1])
            return opened[-1], manifest
        located = find(name, cache_dir, engines)
        models[name] = located.sha256
        options = EngineOptions(cache_dir, settings.tensorrt, manifest, waiting)
        opened.append(
            load_engine(name, located.path, backend=here, threads=settings.threads, options=options)
        )
        return opened[-1], manifest

    def close() -> None:
        for engine in reversed(opened):
            engine.close()

    try:
        network, manifest = load(settings.gestures)
        own = None
        if taught:
            own = head_for(taught, classifier_of(settings, cache_dir, engines), manifest.labels)
        reader = _gesture_reader(network, manifest, own)
        palms = PalmFinder(Detector(*load("palm-detector"))) if settings.proposal != "arm" else None
        pose = _bodies(settings, load) if settings.proposal != "palm" else None
    except BaseException:
        close()
        raise
    return Perception(
        settings, pose, palms, reader, close=close, models=models, remotes=remotes,
        new_frames=lambda: _tell_of_new_frames(opened),
        backends={engine.name: backend_of(engine) for engine in opened},
    )  # fmt: skip


def _gesture_reader(engine: Engine, manifest: Manifest, taught: TaughtHead | Dormant | None) -> HandReader:
    if manifest.task != "gesture":
        raise ModelError(
            f'recognition.gestures is "{manifest.name}", an engine of task {manifest.task}; '
            "choose one of task gesture (`gesture-agent models list`)"
        )
    if taught and manifest.output.embedding is None:
        taught = Dormant(taught.labels)
    return HandReader(engine, manifest, taught)


def _tell_of_new_frames(engines: Sequence[Engine]) -> None:
    for engine in engines:
        if isinstance(engine, LooksItself):
            engine.new_frames()


def _bodies(settings: RecognitionSettings, load: Callable[[str], tuple[Engine, Manifest]]) -> BodyNet:
    """What `recognition.pose` names."""
    if settings.pose == "bodyposenet":
        return BodyPoseNet(*load("bodyposenet"), settings.min_person)
    return PoseNet(Detector(*load("pose-detector")), *load("pose-landmark"), settings.min_person)
