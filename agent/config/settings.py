"""Every setting of the agent, as frozen models. `config.toml` is the same list for people.

A part of the agent receives its own small model from here, never the whole `Settings`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agent.core.duration import format_duration, parse_duration
from agent.core.thresholds import USUAL_CONFIDENCE_OF, Thresholds
from agent.core.types import NO_GESTURE
from agent.core.work_plan import Profile

AS_WRITTEN = "as written"  # validation context of files and environment: durations need a unit there


def _duration(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if (info.context or {}).get(AS_WRITTEN) and type(value) in {int, float} and value:
        raise ValueError(f'{value} has no unit; write "{value}s" or "{value}ms"')
    return value


Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, when_used="json"),
    Field(ge=0),
]
"""Seconds; written as text with a unit ("300ms", "1.5s", "2min")."""

ID_PATTERN = r"^[a-z0-9_-]{1,64}$"
URL_PATTERN = r"^(embedded|mqtts?://[^/\s]+)$"
BASE_PATTERN = r"^[^#+\s]+$"
NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
ORIGIN_PATTERN = r"^https?://[^/\s?#@]+$"
SERVER_PATTERN = r"^https?://[^/\s?#@]+(/[^\s?#]*)?$"
FORMS = {  # the same for people
    ID_PATTERN: "a name of 1 to 64 of the letters a-z 0-9 _ -",
    URL_PATTERN: '"mqtt://HOST[:PORT]", "mqtts://HOST[:PORT]" or "embedded"',
    BASE_PATTERN: "part of a topic: no space, no + and no #",
    NAME_PATTERN: 'a host name without port, like "kiosk.local"',
    ORIGIN_PATTERN: '"http://HOST[:PORT]" or "https://HOST[:PORT]", without a path',
    SERVER_PATTERN: '"http://HOST[:PORT]" or "https://HOST[:PORT]", perhaps with a path',
}

Id = Annotated[str, Field(pattern=ID_PATTERN)]
"""A name that is safe inside an MQTT topic."""

Share = Annotated[float, Field(ge=0, le=1)]
Raised = Annotated[float, Field(ge=-1, le=2)]  # 0: the hips, 1: the shoulders; no hand hangs as low as -1
Lean = Annotated[float, Field(ge=0, le=180)]  # degrees from upright


class Model(BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Secret(Model):
    """A secret, always in a file of its own: never in the settings, the environment or a log."""

    file: Path

    @model_validator(mode="before")
    @classmethod
    def _is_not_written_here(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(  # noqa: TRY004 (pydantic reports ValueErrors, with the place)
                "a secret is never written here: put it into a file of its own, readable by the agent only, "
                'and write { file = "PATH" } instead'
            )
        return value

    def read(self) -> str:
        """The file's text without the line end. Raises `OSError`."""
        return self.file.read_text(encoding="utf-8").rstrip("\r\n")


def _id_of_this_host() -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-") or "agent"


class AgentSettings(Model):
    """Who this agent is and where it keeps things."""

    id: Id = Field(default_factory=_id_of_this_host)
    rules: Path = Path("rules")
    state_dir: Path | None = None  # None: $STATE_DIRECTORY, else the user's state folder
    cache_dir: Path | None = None  # None: $CACHE_DIRECTORY, else the user's cache folder


class CameraSettings(Model):
    """One camera."""

    source: str
    width: Annotated[int, Field(ge=64, le=7680)] = 1280
    height: Annotated[int, Field(ge=64, le=4320)] = 720
    fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    rotate: Literal[0, 90, 180, 270] = 0
    mirror: bool = False
    loop: bool = False  # files and folders: start again at the end
    stall: Duration = 3.0  # no frame, or the same frame, for this long: the camera is lost
    user: str | None = None  # of a stream
    password: Secret | None = None

    def address(self) -> str:
        """The source with user and password put in: to open it, never to show it. Raises `OSError`."""
        scheme, separator, rest = self.source.partition("://")
        if self.user is None or not separator:
            return self.source
        login = quote(self.user, safe="")
        if self.password is not None:
            login += ":" + quote(self.password.read(), safe="")
        return f"{scheme}://{login}@{rest}"


class TlsSettings(Model):
    """TLS of a connection; used when its URL says mqtts:// or https://."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True


class TritonSettings(Model):
    """The server that runs networks for this agent: Triton, or another that speaks KServe v2 over HTTP."""

    url: Annotated[str, Field(pattern=SERVER_PATTERN)] = "http://localhost:8000"
    networks: Literal["classifier", "all"] = "classifier"
    timeout: Annotated[Duration, Field(gt=0, le=10)] = 1.0
    tls: TlsSettings = TlsSettings()


class TensorRtSettings(Model):
    """How networks run on an NVIDIA GPU."""

    precision: Literal["fp32", "fp16", "int8"] = "fp16"
    batch: tuple[
        Annotated[int, Field(ge=1, le=64)],
        Annotated[int, Field(ge=1, le=64)],
        Annotated[int, Field(ge=1, le=64)],
    ] = (1, 2, 8)
    frames: Literal["gpu", "cpu"] = "gpu"
    overlap: bool = False
    calibration: Path | None = None
    workspace_bytes: Annotated[int, Field(ge=16_000_000)] = 1_000_000_000
    fallback: bool = False

    @model_validator(mode="after")
    def _batches_are_ordered(self) -> TensorRtSettings:
        if list(self.batch) != sorted(self.batch):
            raise ValueError(f"batch {list(self.batch)} must be smallest, usual, largest, as in [1, 2, 8]")
        return self


CLASSIFIER_OF: dict[str, str] = {
    "light": "gesturenet-ensemble-lite",
    "balanced": "gesturenet-ensemble",
    "accurate": "gesturenet-ensemble",
}
"""Profile -> the classifier that it takes where `gestures` names none."""


class RecognitionSettings(Model):
    """Which networks look, and how."""

    backend: Literal["auto", "onnxruntime", "tensorrt", "triton"] = "auto"
    pose: Literal["blazepose", "bodyposenet"] = "blazepose"
    proposal: Literal["pose", "palm", "both", "arm"] = "both"
    profile: Profile = "balanced"
    gestures: str = CLASSIFIER_OF["balanced"]
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    people: Annotated[int, Field(ge=1, le=16)] = 2
    look_around: Duration = 0.5
    min_person: Share = 0.5
    min_hand: Share = 0.5
    triton: TritonSettings = TritonSettings()
    tensorrt: TensorRtSettings = TensorRtSettings()

    @model_validator(mode="before")
    @classmethod
    def _profile_has_a_classifier(cls, written: Any) -> Any:
        """The classifier of the profile, unless one is written."""
        if not isinstance(written, dict) or "gestures" in written:
            return written
        chosen = CLASSIFIER_OF.get(written.get("profile", "balanced"))
        return {**written, "gestures": chosen} if chosen else written


class RestSettings(Model):
    """How the agent rests while nobody is in view."""

    fps: Annotated[float, Field(gt=0, le=240)] = 4.0
    after: Duration = 5.0


_USUAL = Thresholds()


class DebounceSettings(Model):
    """From probabilities to events."""

    smoothing: Duration = 0.15
    confidence: Share = _USUAL.confidence
    confidence_of: dict[Id, Share] = USUAL_CONFIDENCE_OF  # by gesture
    keep: Share = _USUAL.keep
    hold: Duration = _USUAL.hold_s
    release: Duration = _USUAL.release_s
    cooldown: Duration = _USUAL.cooldown_s
    raised: Raised = _USUAL.raised
    lean: Lean = _USUAL.lean
    at_face: bool = _USUAL.at_face
    max_age: Duration = 5.0

    @model_validator(mode="before")
    @classmethod
    def _what_is_written_holds(cls, written: Any) -> Any:
        """A `confidence` that somebody wrote is for every gesture that they name no other for."""
        if not isinstance(written, dict):
            return written
        usual = {} if "confidence" in written else USUAL_CONFIDENCE_OF
        own = written.get("confidence_of", {})
        return {**written, "confidence_of": {**usual, **own}} if isinstance(own, dict) else written

    @field_validator("confidence_of")
    @classmethod
    def _is_about_gestures(cls, of: dict[str, float]) -> dict[str, float]:
        if NO_GESTURE in of:
            raise ValueError(f"{NO_GESTURE} stands for no gesture and never begins")
        return of

    @model_validator(mode="after")
    def _hysteresis_is_ordered(self) -> DebounceSettings:
        if self.keep > self.confidence:
            raise ValueError(f"keep ({self.keep}) must not be above confidence ({self.confidence})")
        for gesture, asked in self.confidence_of.items():
            if self.keep > asked:
                above = f"keep ({self.keep}) must not be above the confidence of {gesture} ({asked})"
                raise ValueError(f"{above}; confidence_of sets that")
        return self


class MqttSettings(Model):
    """Where events go."""

    url: Annotated[str, Field(pattern=URL_PATTERN)] = "mqtt://localhost:1883"
    base: Annotated[str, Field(pattern=BASE_PATTERN)] = "gesture"
    user: str | None = None
    password: Secret | None = None
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 20
    tls: TlsSettings = TlsSettings()

    @field_validator("url")
    @classmethod
    def _holds_no_login(cls, url: str) -> str:
        if "@" in url:
            raise ValueError(
                'a URL holds no login here; write user = "NAME" and password = { file = "PATH" }'
            )
        return url


class OutboxSettings(Model):
    """How much may wait for a broker that is away."""

    rows: Annotated[int, Field(ge=10)] = 10_000
    queue_bytes: Annotated[int, Field(ge=10_000)] = 16_000_000


class ActionsSettings(Model):
    """What rules may do besides MQTT, and for how long."""

    keys: bool = False
    command_timeout: Duration = 10.0
    webhook_timeout: Duration = 5.0


class HomeAssistantSettings(Model):
    """How Home Assistant gets to know this agent."""

    discovery: Literal["device", "component", "off"] = "device"
    prefix: Annotated[str, Field(pattern=r"^[^#+\s]+$")] = "homeassistant"
    name: str | None = None  # of the device; None: the agent's id
    area: str | None = None


class LogSettings(Model):
    """How the agent speaks."""

    format: Literal["auto", "console", "json", "journal"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class TraceSettings(Model):
    """What is kept of the last hours, to see why a gesture fired or did not: numbers, no pictures."""

    enabled: bool = False
    keep: Duration = 24 * 3600.0
    bytes: Annotated[int, Field(ge=100_000)] = 50_000_000


class WebSettings(Model):
    """The page in the browser, its streams for kiosks, and /metrics."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765  # 0: a free one, told in the log
    token: Secret | None = None
    preview: bool = False
    names: tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...] = ()
    origins: tuple[Annotated[str, Field(pattern=ORIGIN_PATTERN)], ...] = ()

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach the page."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _strangers_need_a_token(self) -> WebSettings:
        if not self.loopback and self.token is None:
            raise ValueError(
                f'host = "{self.host}" lets other machines in; write token = {{ file = "web-token" }} '
                'with a secret of your own in that file, or host = "127.0.0.1"'
            )
        return self


class Settings(Model):
    """All of it."""

    agent: AgentSettings = Field(default_factory=AgentSettings)
    camera: dict[Id, CameraSettings] = Field(default_factory=dict)
    recognition: RecognitionSettings = RecognitionSettings()
    rest: RestSettings = RestSettings()
    debounce: DebounceSettings = DebounceSettings()
    mqtt: MqttSettings = MqttSettings()
    outbox: OutboxSettings = OutboxSettings()
    actions: ActionsSettings = ActionsSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    trace: TraceSettings = TraceSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
