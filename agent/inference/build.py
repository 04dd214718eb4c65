"""Builds the recogniser from the settings: selects, loads and connects networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from agent.config.settings import RecognitionSettings
from agent.core.frame_memory import FrameMemory, OrdinaryFrameMemory
from agent.core.taught import StaleTaughtHead, TaughtHead
from agent.core.work_plan import RATES_OF
from agent.errors import ModelError
from agent.inference.bodies.blazepose import PoseNet
from agent.inference.bodies.bodyposenet import BodyPoseNet
from agent.inference.bodies.person import BodyNet
from agent.inference.cropping import has_crop_interface, supports_device_crop
from agent.inference.detector import Detector
from agent.inference.engine import (
    REMOTE_BACKENDS,
    Engine,
    EngineOptions,
    RemoteEngine,
    backend_of,
    choose_backend,
    connect_engine,
    load_engine,
)
from agent.inference.files.store import manifest_of
from agent.inference.gestures.classifier import HandClassifier
from agent.inference.gestures.follower import Follower
from agent.inference.gestures.second import SecondClassifier
from agent.inference.gestures.taught import head_for
from agent.inference.hands.palm import PalmFinder
from agent.inference.manifest import EnsembleSource, Manifest
from agent.inference.models import classifier_of, find, runs_elsewhere
from agent.inference.recognizer import Recognizer
from agent.supervision import Threads

log = structlog.get_logger(__name__)


def build_recognizer(
    settings: RecognitionSettings,
    cache_dir: Path,
    engines: Path | None = None,
    *,
    taught: Path | None = None,
    waiting: Callable[[str, float], None] = lambda _line, _seconds: None,
    threads: Threads | None = None,
) -> Recognizer:
    """Load all networks that the settings name and build the recogniser. Raises `CannotStart`.

    `taught` is the folder where the user's own gestures are; None leaves them out. `waiting` hears of what
    takes long, as in `EngineOptions`. `threads` watches over the threads that are made here.
    """
    loader = _Loader(settings, cache_dir, engines, waiting, threads)
    try:
        network, manifest, second = loader.classifier()
        own = None
        if taught:
            own = head_for(taught, classifier_of(settings, cache_dir, engines), manifest.labels)
        follower = None if isinstance(own, TaughtHead) or second is None else loader.follower(manifest)
        classifier = _gesture_classifier(network, manifest, own, second, follower)
        palms = PalmFinder(Detector(*loader.load("palm-detector"))) if settings.proposal != "arm" else None
        pose = _bodies(settings, loader.load) if settings.proposal != "palm" else None
    except BaseException:
        loader.close()
        raise
    opened = loader.opened
    return Recognizer(
        settings, pose, palms, classifier, rates=RATES_OF[settings.profile],
        close=loader.close, models=loader.models, remotes=loader.remotes,
        new_frames=lambda: _announce_new_frames(opened), frame_memory=_frame_memory(opened),
        backends={engine.name: backend_of(engine) for engine in opened},
    )  # fmt: skip


class _Loader:
    """Loads networks and tracks what it has loaded; `models` maps names to a sha256 or an address."""

    def __init__(
        self,
        settings: RecognitionSettings,
        cache_dir: Path,
        engines: Path | None,
        waiting: Callable[[str, float], None],
        threads: Threads | None,
    ) -> None:
        self._settings, self._cache_dir, self._engines = settings, cache_dir, engines
        self._waiting, self._threads = waiting, threads
        self._backend = "auto" if settings.backend in REMOTE_BACKENDS else settings.backend
        self.opened: list[Engine] = []
        self.remotes: list[RemoteEngine] = []
        self.models: dict[str, str] = {}

    def load(self, name: str) -> tuple[Engine, Manifest]:
        """Load a network locally, or connect to it where it runs remotely."""
        settings, manifest = self._settings, manifest_of(name, self._cache_dir, self._engines)
        if runs_elsewhere(name, settings):
            self.remotes.append(connect_engine(manifest, settings.triton, threads=self._threads))
            self.models[name] = self.remotes[-1].address
            self.opened.append(self.remotes[-1])
            return self.opened[-1], manifest
        located = find(name, self._cache_dir, self._engines)
        self.models[name] = located.sha256
        options = EngineOptions(self._cache_dir, settings.tensorrt, manifest, self._waiting)
        self.opened.append(
            load_engine(name, located.path, backend=self._backend, threads=settings.threads, options=options)
        )
        return self.opened[-1], manifest

    def classifier(self) -> tuple[Engine, Manifest, SecondClassifier | None]:
        """Load the classifier; on a CPU an ensemble runs as two parts, so that the second can be skipped."""
        name = self._settings.gestures
        manifest = manifest_of(name, self._cache_dir, self._engines)
        source = manifest.source
        if not isinstance(source, EnsembleSource) or not self._in_parts(manifest, source):
            return *self.load(name), None
        self.models[name] = find(name, self._cache_dir, self._engines).sha256
        first, _ = self.load(source.first)
        second = SecondClassifier(*self.load(str(manifest.second)), source, RATES_OF[self._settings.profile])
        return first, manifest, second

    def follower(self, manifest: Manifest) -> Follower | None:
        """Load the smaller network for settled gestures; None where the profile runs everything anyway.

        Taught gestures know the larger network's embedding only, so none is loaded beside them.
        """
        rates = RATES_OF[self._settings.profile]
        if manifest.follower is None or math.isinf(rates.settled_s):
            return None
        try:
            find(manifest.follower, self._cache_dir, self._engines)
        except ModelError as exc:
            log.warning(
                "follower_not_used", costs="a fifth more of the CPU while gestures are held", reason=str(exc)
            )
            return None
        return Follower(*self.load(manifest.follower), rates)

    def close(self) -> None:
        """Close all networks, the last first."""
        for engine in reversed(self.opened):
            engine.close()

    def _in_parts(self, manifest: Manifest, source: EnsembleSource) -> bool:
        """Whether both parts are local on a CPU; on a GPU or server a call costs more than the network."""
        elsewhere = runs_elsewhere(manifest.name, self._settings)
        if manifest.second is None or elsewhere or choose_backend(self._backend)[0] != "onnxruntime":
            return False
        try:
            for name in (source.first, manifest.second):
                find(name, self._cache_dir, self._engines)
        except ModelError as exc:
            log.warning("ensemble_not_split", costs="a third more of the CPU", reason=str(exc))
            return False
        return True


def _gesture_classifier(
    engine: Engine,
    manifest: Manifest,
    taught: TaughtHead | StaleTaughtHead | None,
    second: SecondClassifier | None,
    follower: Follower | None,
) -> HandClassifier:
    if manifest.task != "gesture":
        raise ModelError(
            f'recognition.gestures is "{manifest.name}", an engine of task {manifest.task}; '
            "choose one of task gesture (`gesture-agent models list`)"
        )
    if taught and manifest.output.embedding is None:
        taught = StaleTaughtHead(taught.labels)
    return HandClassifier(engine, manifest, taught, second, follower)


def _announce_new_frames(engines: Sequence[Engine]) -> None:
    for engine in engines:
        if has_crop_interface(engine):
            engine.new_frames()


def _frame_memory(engines: Sequence[Engine]) -> FrameMemory:
    """A GPU's, where all networks crop on it: OpenCV would copy each BGRx image for every crop."""
    memories = [engine.frame_memory for engine in engines if supports_device_crop(engine)]
    return memories[0] if memories and len(memories) == len(engines) else OrdinaryFrameMemory()


def _bodies(settings: RecognitionSettings, load: Callable[[str], tuple[Engine, Manifest]]) -> BodyNet:
    """The pose network that `recognition.pose` names."""
    if settings.pose == "bodyposenet":
        return BodyPoseNet(*load("bodyposenet"), settings.person_confidence)
    return PoseNet(Detector(*load("pose-detector")), *load("pose-landmark"), settings.person_confidence)
