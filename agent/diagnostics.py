"""Checks of each part of the agent as configured, with one verdict a line.

`fail` keeps the daemon from starting; with `warn` it starts and keeps retrying.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.capture.source import open_source, public_name
from agent.config.folders import cache_folder, state_folder
from agent.config.problems import ConfigProblems
from agent.config.settings import CameraSettings, MqttSettings, RecognitionSettings, Settings, WebSettings
from agent.core.types import LABELS
from agent.errors import CannotStart, ConfigError, EndOfSource, LostForNow, ModelError

State = Literal["ok", "warn", "fail"]

CAMERA_S = 10.0  # seconds for the first frame: a network stream needs two or three
BROKER_S = 6.0  # seconds to connect and to acknowledge, on MQTT 5 and again on 3.1.1
LOW_DISK_BYTES = 50_000_000  # three times the outbox at its default size


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Verdict on one part."""

    part: str
    name: str
    state: State
    text: str


def run_checks(settings: Settings, environ: Mapping[str, str]) -> Iterator[CheckResult]:
    """Yield verdicts on models, rules, folders, cameras, broker and web page, in this order."""
    cache = cache_folder(settings.agent, environ)
    yield check_backend(settings.recognition)
    yield from check_gpu(settings.recognition, cache)
    yield from check_models(settings.recognition, cache)
    yield from check_debounce(settings, state_folder(settings.agent, environ), cache)
    yield check_rules(settings, state_folder(settings.agent, environ), cache)
    yield check_folder("state", state_folder(settings.agent, environ))
    yield from check_cameras(settings.camera)
    yield check_broker(settings.mqtt, settings.agent.id)
    if settings.web.enabled:
        yield check_page(settings.web)


def check_backend(recognition: RecognitionSettings) -> CheckResult:
    """Check which backend runs the networks and why, and whether the configured one is available."""
    from agent.inference.engine import REMOTE_BACKENDS, choose_backend, unused_gpu
    from agent.inference.onnxruntime_trial import try_onnxruntime
    from agent.inference.trt.availability import tensorrt_availability

    backend, why = choose_backend(recognition.backend)
    tensorrt = tensorrt_availability()
    if backend == "tensorrt" and not tensorrt.usable:
        state: State = "warn" if recognition.tensorrt.fallback else "fail"
        return CheckResult("backend", backend, state, f"{tensorrt.why}; {tensorrt.todo}")
    if backend == "tensorrt":
        return CheckResult("backend", backend, "ok", tensorrt.why)
    remote = backend in REMOTE_BACKENDS
    try:
        version = try_onnxruntime()
    except ModelError as exc:
        if not remote or recognition.triton.networks != "all":
            return CheckResult("backend", backend, "fail", str(exc))
    if remote:
        return CheckResult("backend", backend, "ok", why)
    if unused := unused_gpu(recognition.backend, {}):
        return CheckResult(
            "backend", backend, "warn", f"version {version}, networks run on the CPU; {unused}"
        )
    gpu = "" if recognition.backend == "onnxruntime" else f"; no GPU is used: {why.partition(' (')[0]}"
    return CheckResult("backend", backend, "ok", f"version {version}, networks run on the CPU{gpu}")


def check_gpu(recognition: RecognitionSettings, cache_dir: Path) -> Iterator[CheckResult]:
    """What keeps networks off the GPU that TensorRT is to use: a line for each, none where all is well."""
    from agent.inference.engine import choose_backend
    from agent.inference.models import engines_of
    from agent.inference.trt.availability import tensorrt_availability

    here = tensorrt_availability()
    if not here.usable or choose_backend(recognition.backend)[0] != "tensorrt":
        return
    from agent.inference.trt.trial import gpu_troubles

    on_cpu_instead = recognition.backend == "auto" or recognition.tensorrt.fallback
    for trouble in gpu_troubles(engines_of(recognition), cache_dir, recognition.tensorrt):
        state: State = "warn" if on_cpu_instead or not trouble.on_cpu else "fail"
        until = f"; until then on the CPU: {trouble.on_cpu}" if state == "warn" and trouble.on_cpu else ""
        yield CheckResult("gpu", here.why, state, trouble.text + until)


def check_page(web: WebSettings) -> CheckResult:
    """Check that the token of the web page is valid and its port free."""
    from agent.web.auth import read_token
    from agent.web.server import bind

    name = f"{web.host}:{web.port}"
    try:
        token = read_token(web)
    except ConfigError as exc:
        return CheckResult("page", name, "fail", str(exc))
    try:
        bind(web).close()
    except ConfigError as exc:  # as it is while the agent runs
        return CheckResult("page", name, "warn", str(exc))
    pictures = "with pictures" if web.preview else "no pictures"
    return CheckResult(
        "page", name, "ok", f"{'asks for the token' if token else 'asks for no token'}, {pictures}"
    )


def check_models(recognition: RecognitionSettings, cache_dir: Path) -> Iterator[CheckResult]:
    """Check that every configured network is present with the right sha256."""
    from agent.inference.models import engines_of, runs_elsewhere

    for name in engines_of(recognition):
        yield (
            _check_remote(name, recognition)
            if runs_elsewhere(name, recognition)
            else _check_model(name, cache_dir)
        )


def _check_remote(name: str, recognition: RecognitionSettings) -> CheckResult:
    from agent.inference.engine import connect_engine
    from agent.inference.manifest import load_manifest

    try:
        engine = connect_engine(load_manifest(name), recognition.triton, backend=recognition.backend)
    except ModelError as exc:
        return CheckResult("model", name, "fail", str(exc).removeprefix(f"{name}: "))
    try:
        if engine.away is not None:
            away = engine.away.removeprefix(f"{name} ")
            return CheckResult("model", name, "warn", f"{away} (the agent would start and keep trying)")
        return CheckResult("model", name, "ok", f"at {engine.address}, version {engine.version}")
    finally:
        engine.close()


def _check_model(name: str, cache_dir: Path) -> CheckResult:
    from agent.inference.models import locate

    try:
        return CheckResult("model", name, "ok", str(locate(name, cache_dir)))
    except ModelError as exc:
        return CheckResult("model", name, "fail", str(exc).removeprefix(f"{name}: "))


def labels_of(recognition: RecognitionSettings, state_dir: Path, cache_dir: Path) -> tuple[str, ...]:
    """Return the labels of the classifier (the built-in ones if its manifest is missing) and taught ones.

    Raises `ConfigError` when the taught gestures cannot be read.
    """
    from agent.inference.files.store import manifest_of
    from agent.inference.gestures.taught import taught_labels

    try:
        labels = manifest_of(recognition.gestures, cache_dir).labels or LABELS
    except ModelError:
        labels = LABELS
    return taught_labels(state_dir, labels)


def check_debounce(settings: Settings, state_dir: Path, cache_dir: Path) -> Iterator[CheckResult]:
    """Warn where `confidence_of` names a label that the classifier does not have."""
    from agent.config.trace_settings import unknown_gestures

    try:
        labels = labels_of(settings.recognition, state_dir, cache_dir)
    except ConfigError:  # the check of the rules reports it
        return
    if doubts := unknown_gestures(settings.debounce, labels):
        yield CheckResult("settings", "debounce", "warn", "\n".join(doubts))


def check_rules(settings: Settings, state_dir: Path, cache_dir: Path) -> CheckResult:
    """Check that the rules are valid and pass their cases."""
    from agent.config.rules.cases import run_cases
    from agent.config.rules.files import read_rules, unusable_key_rules

    source = settings.agent.rules
    try:
        labels = labels_of(settings.recognition, state_dir, cache_dir)
        rules = read_rules(source, labels, settings.debounce, settings.camera or None)
    except ConfigProblems as exc:
        return CheckResult("rules", str(source), "fail", "\n".join(map(str, exc.problems)))
    except ConfigError as exc:
        return CheckResult("taught", "gestures", "fail", str(exc))
    failed = [result for result in run_cases(rules.cases, labels, settings.debounce) if not result.passed]
    total = len(rules.cases)
    text = f"{len(rules.rule_set.rules)} rules, {total - len(failed)} of {total} cases pass"
    keys = None if settings.actions.keys else unusable_key_rules(rules.rule_set)
    doubts = [
        *map(str, rules.warnings),
        *([keys] if keys else []),
        *(f"case fails: {result.case.title}" for result in failed),
    ]
    return CheckResult("rules", str(source), "warn" if doubts else "ok", "\n".join([text, *doubts]))


def check_folder(name: str, folder: Path) -> CheckResult:
    """Check that the state folder is writable, and how much space is free."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as exc:
        how = "set agent.state_dir to a folder of yours"
        return CheckResult("folder", name, "fail", f"{folder} cannot be written ({exc.strerror}); {how}")
    text = f"{folder}, {free / 1e6:,.0f} MB free"
    return CheckResult("folder", name, "warn" if free < LOW_DISK_BYTES else "ok", text)


def check_cameras(cameras: Mapping[str, CameraSettings]) -> Iterator[CheckResult]:
    """Check that every camera opens and delivers a frame."""
    if not cameras:
        text = 'none is set; write [camera.front] and source = "v4l2:/dev/video0" into config.toml'
        yield CheckResult("camera", "-", "fail", text)
    for name, settings in cameras.items():
        yield _check_camera(name, settings)


def _check_camera(name: str, settings: CameraSettings) -> CheckResult:
    try:
        return CheckResult("camera", name, "ok", _first_picture(settings, name))
    except CannotStart as exc:
        return CheckResult("camera", name, "fail", str(exc))
    except LostForNow as exc:
        return CheckResult("camera", name, "warn", f"{exc} (the agent would start and keep trying)")


def _first_picture(settings: CameraSettings, name: str) -> str:
    """Size of the first frame and time to it. Raises `LostForNow` and `CannotStart`."""
    source = open_source(settings, name)
    began = time.monotonic()
    timer = threading.Timer(CAMERA_S, source.interrupt)
    timer.start()
    try:
        source.open()
        frame = source.read()
    except EndOfSource as exc:
        raise LostForNow(f"{public_name(settings.source)}: there is not a single picture in it") from exc
    finally:
        timer.cancel()
        source.close()
    took_s = time.monotonic() - began
    return f"{public_name(settings.source)}, {frame.width} x {frame.height} pixels after {took_s:.1f} s"


def check_broker(settings: MqttSettings, agent: str) -> CheckResult:
    """Check that the broker accepts the login and acknowledges a message on `bridge/check`."""
    if settings.url == "embedded":
        if importlib.util.find_spec("amqtt"):
            return CheckResult("broker", "embedded", "ok", "starts with the agent, on this machine only")
        text = "the package amqtt is missing; pip install 'gesture-agent[embedded]'"
        return CheckResult("broker", "embedded", "fail", text)
    try:
        return _greeting(settings, agent)
    except CannotStart as exc:
        return CheckResult("broker", settings.url, "fail", str(exc))


def _greeting(settings: MqttSettings, agent: str) -> CheckResult:
    """Connect as the agent would, under another client id, so that a running agent stays connected."""
    from agent.delivery.link import LinkUp
    from agent.delivery.message import Message
    from agent.delivery.mqtt.client import MqttClient

    up = threading.Event()
    hello = Message(f"{settings.base}/{agent}/bridge/check", b"")

    def report(event: object) -> None:
        if isinstance(event, LinkUp):
            up.set()

    link = MqttClient(
        settings,
        f"{agent}-check",
        birth=hello,
        will=hello,
        subscriptions=(),
        report=report,
        received=lambda _topic, _payload, _retained: None,
    )
    before = link.trouble
    link.start()
    try:
        connected = _wait(up, lambda: link.trouble != before, BROKER_S)
        if connected:
            return CheckResult(
                "broker", settings.url, "ok", f"login and a message accepted, MQTT {link.version}"
            )
        reason = link.trouble if link.trouble != before else "no answer"
        return CheckResult(
            "broker", settings.url, "warn", f"{reason} (the agent would start and keep trying)"
        )
    finally:
        link.close(2.0)


def _wait(up: threading.Event, given_up: Callable[[], bool], limit_s: float) -> bool:
    """Return True once `up` is set; False when the attempt failed, or after the limit."""
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends and not up.wait(0.05):
        if given_up():
            break
    return up.is_set()
