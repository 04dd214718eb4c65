"""All settings of the agent as frozen models; `config.toml` documents them for users.

Each part of the agent receives its own section, never the whole `Settings`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agent.config.addresses import checked_address
from agent.config.secret_file import read_secret
from agent.core.duration import MAX_S, format_duration, parse_duration
from agent.core.redaction import PASSWORD, USER, secrets_in
from agent.core.thresholds import USUAL_CONFIDENCE_OF, Thresholds
from agent.core.types import NO_GESTURE
from agent.core.work_plan import Profile

AS_WRITTEN = "as written"  # validation context of files and environment, where durations need a unit


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
    Field(ge=0, le=MAX_S),
]
"""Seconds; written as text with a unit ("300ms", "1.5s", "2min")."""

ID_PATTERN = r"^[a-z0-9_-]{1,64}$"
URL_PATTERN = r"^(embedded|mqtts?://[^/\s]+)$"
BASE_PATTERN = r"^[^#+\s\x00-\x1f\x7f-\x9f]*[^#+/\s\x00-\x1f\x7f-\x9f]/*$"
NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
ORIGIN_PATTERN = r"^https?://[^/\s?#@]+$"
SERVER_PATTERN = r"^https?://[^/\s?#@]+(/[^\s?#]*)?$"
FORMS = {  # the patterns in words, for error texts
    ID_PATTERN: "a name of 1 to 64 of the letters a-z 0-9 _ -",
    URL_PATTERN: '"mqtt://HOST[:PORT]", "mqtts://HOST[:PORT]" or "embedded"',
    BASE_PATTERN: "part of a topic: no space, no + and no #",
    NAME_PATTERN: 'a host name without port, like "kiosk.local"',
    ORIGIN_PATTERN: '"http://HOST[:PORT]" or "https://HOST[:PORT]", without a path',
    SERVER_PATTERN: '"http://HOST[:PORT]" or "https://HOST[:PORT]", perhaps with a path',
}

Address = Annotated[str, AfterValidator(checked_address)]
"""A URL with a valid host and port."""

Id = Annotated[str, Field(pattern=ID_PATTERN)]
"""A name that can be used within an MQTT topic."""

TopicStart = Annotated[str, Field(pattern=BASE_PATTERN), AfterValidator(lambda topic: topic.rstrip("/"))]
"""First levels of a topic; a trailing slash is removed."""

Share = Annotated[float, Field(ge=0, le=1)]
Raised = Annotated[float, Field(ge=-1, le=2)]  # 0: the hips, 1: the shoulders; no hand is as low as -1
Lean = Annotated[float, Field(ge=0, le=180)]  # degrees from upright
Angle = Annotated[float, Field(ge=0, le=180)]  # degrees
Widths = Annotated[float, Field(ge=0, le=100)]  # in hand widths, or hand widths/s


class Model(BaseModel):
    """Base of all settings models: frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Secret(Model):
    """A secret in a file of its own; its text is never in the settings, the environment or a log."""

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
        """Read the secret without line ends. Raises `OSError` where the file cannot be read as UTF-8 text."""
        return read_secret(self.file)


def _id_of_this_host() -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-") or "agent"


class AgentSettings(Model):
    """Settings of `[agent]`: id, rules and folders."""

    id: Id = Field(default_factory=_id_of_this_host)
    rules: Path = Path("rules")
    state_dir: Path | None = None  # None: $STATE_DIRECTORY, else the user's state folder
    cache_dir: Path | None = None  # None: $CACHE_DIRECTORY, else the user's cache folder


class CameraSettings(Model):
    """Settings of one camera, `[camera.NAME]`."""

    source: str
    width: Annotated[int, Field(ge=64, le=7680)] = 1280
    height: Annotated[int, Field(ge=64, le=4320)] = 720
    fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    rotate: Literal[0, 90, 180, 270] = 0
    mirror: bool = False
    pixel_aspect: Annotated[float, Field(ge=1 / 8, le=8)] | None = None  # None: as the source reports, else 1
    max_pixels: Annotated[int, Field(ge=4096, le=1_000_000_000)] = 35_000_000  # 7680 x 4320 with some reserve
    loop: bool = False  # files and folders: start over at the end
    stall_timeout: Duration = 3.0  # without a frame, or with an unchanged one, after which the camera is lost
    user: str | None = None  # login of a stream
    password: Secret | None = None

    @field_validator("source", mode="before")
    @classmethod
    def _is_no_number(cls, source: Any) -> Any:
        """Reject OpenCV's camera indices, which do not identify a camera."""
        if type(source) is int or (isinstance(source, str) and source.strip().isdecimal()):
            raise ValueError(
                f'a number is no source; write "v4l2:/dev/video{source}" for camera {source}, '
                f'"./{source}" for a file of that name'
            )
        return source

    @model_validator(mode="after")
    def _login_is_whole(self) -> CameraSettings:
        userinfo, at, _ = self.source.partition("://")[2].partition("/")[0].rpartition("@")
        if self.user is not None and at and USER not in userinfo:
            raise ValueError("the user stands in the source too; leave it out there")
        if self.password is not None and self.user is None and PASSWORD not in self.source:
            raise ValueError(
                f"the password belongs to nobody; add user, or write {PASSWORD} where the source needs it"
            )
        return self

    def address(self) -> str:
        """Return the source with user and password, for opening only. Raises `OSError`.

        They replace `{user}` and `{password}`, else precede the host. A user is always followed by a colon,
        even with an empty password, because otherwise no login is sent.
        """
        if USER in self.source or PASSWORD in self.source:
            return self.filled(self.source)
        scheme, separator, rest = self.source.partition("://")
        if self.user is None or not separator:
            return self.source
        user, password = self.user, self.password.read() if self.password else ""
        return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"

    def filled(self, text: str) -> str:
        """Fill in user and password in a part of the source. Raises `OSError`.

        They are percent-encoded within a URL and literal elsewhere (properties of a pipeline).
        """
        if USER not in text and PASSWORD not in text:
            return text
        user, password = self.user or "", self.password.read() if self.password else ""
        before, scheme, url = text.partition("://")
        encoded = url.replace(USER, quote(user, safe="")).replace(PASSWORD, quote(password, safe=""))
        return before.replace(USER, user).replace(PASSWORD, password) + scheme + encoded

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets that no text about this camera may show. Raises `OSError`."""
        return (*secrets_in(self.source), *([self.password.read()] if self.password else []))


class TlsSettings(Model):
    """TLS settings of a connection; used where its URL begins with mqtts:// or https://."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True


class TritonSettings(Model):
    """Settings of a remote inference server: Triton, or another with KServe v2 over HTTP."""

    url: Annotated[Address, Field(pattern=SERVER_PATTERN)] = "http://localhost:8000"
    networks: Literal["classifier", "all"] = "classifier"
    timeout: Annotated[Duration, Field(gt=0, le=10)] = 1.0
    tls: TlsSettings = TlsSettings()


class TensorRtSettings(Model):
    """Settings of inference on an NVIDIA GPU."""

    precision: Literal["fp32", "fp16", "int8"] = "fp16"
    batch: tuple[
        Annotated[int, Field(ge=1, le=64)],
        Annotated[int, Field(ge=1, le=64)],
        Annotated[int, Field(ge=1, le=64)],
    ] = (1, 2, 8)
    frames: Literal["gpu", "cpu"] = "gpu"
    graphs: bool = True
    calibration: Path | None = None
    workspace_bytes: Annotated[int, Field(ge=16_000_000, le=10**12)] = 1_000_000_000
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
"""Default classifier of each profile."""


class RecognitionSettings(Model):
    """Settings of `[recognition]`: networks, backend and profile."""

    backend: Literal["auto", "onnxruntime", "tensorrt", "triton"] = "auto"
    pose: Literal["blazepose", "bodyposenet"] = "blazepose"
    proposal: Literal["pose", "palm", "both", "arm"] = "both"
    profile: Profile = "balanced"
    gestures: str = CLASSIFIER_OF["balanced"]
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    people: Annotated[int, Field(ge=1, le=16)] = 2
    redetect_interval: Duration = 0.5
    person_confidence: Share = 0.5
    min_hand: Share = 0.5
    triton: TritonSettings = TritonSettings()
    tensorrt: TensorRtSettings = TensorRtSettings()

    @model_validator(mode="before")
    @classmethod
    def _profile_has_a_classifier(cls, written: Any) -> Any:
        """Choose the profile's classifier, unless one is written."""
        if not isinstance(written, dict) or "gestures" in written:
            return written
        chosen = CLASSIFIER_OF.get(written.get("profile", "balanced"))
        return {**written, "gestures": chosen} if chosen else written


class IdleSettings(Model):
    """Settings of `[idle]`: frame rate while nobody is in view."""

    fps: Annotated[float, Field(gt=0, le=240)] = 4.0
    after: Duration = 5.0


_USUAL = Thresholds()


class IntentSettings(Model):
    """Settings of `[debounce.intent]`: limits that tell intended gestures from idle hands."""

    facing: Angle = _USUAL.facing
    forearm: Angle = _USUAL.forearm
    upright: Angle = _USUAL.upright
    face_gap: Widths = _USUAL.face_gap
    hand_gap: Widths = _USUAL.hand_gap
    still: Widths = _USUAL.still
    onset: Duration = _USUAL.onset_s
    doubtful_confidence: Share = _USUAL.doubtful_confidence
    doubtful_hold: Duration = _USUAL.doubtful_hold_s


class DebounceSettings(Model):
    """Settings of `[debounce]`: smoothing and thresholds of gesture events."""

    smoothing: Duration = 0.15
    confidence: Share = _USUAL.confidence
    confidence_of: dict[Id, Share] = USUAL_CONFIDENCE_OF  # by gesture
    keep_confidence: Share = _USUAL.keep
    hold: Duration = _USUAL.hold_s
    release: Duration = _USUAL.release_s
    cooldown: Duration = _USUAL.cooldown_s
    raised: Raised = _USUAL.raised
    lean: Lean = _USUAL.lean
    at_face: bool = _USUAL.at_face
    intent: IntentSettings = IntentSettings()
    max_age: Duration = 5.0

    @model_validator(mode="before")
    @classmethod
    def _what_is_written_holds(cls, written: Any) -> Any:
        """Apply a written `confidence` to every gesture without a written value of its own."""
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
        if self.keep_confidence > self.confidence:
            raise ValueError(
                f"keep_confidence ({self.keep_confidence}) must not be above confidence ({self.confidence})"
            )
        for gesture, asked in self.confidence_of.items():
            if self.keep_confidence > asked:
                limit = f"the confidence of {gesture} ({asked}); confidence_of sets that"
                raise ValueError(f"keep_confidence ({self.keep_confidence}) must not be above {limit}")
        return self


class MqttSettings(Model):
    """Settings of `[mqtt]`: the broker connection."""

    url: Annotated[Address, Field(pattern=URL_PATTERN)] = "mqtt://localhost:1883"
    base: TopicStart = "gesture"
    user: str | None = None
    password: Secret | None = None
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 20
    feedback: bool = False  # camera/<cam>/feedback
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
    """Settings of `[outbox]`: limits on what is stored while the broker is offline."""

    rows: Annotated[int, Field(ge=10, le=10_000_000)] = 10_000
    queue_bytes: Annotated[int, Field(ge=10_000, le=10**11)] = 16_000_000


class ActionsSettings(Model):
    """Settings of `[actions]`: limits and permissions of actions other than MQTT."""

    keys: bool = False
    command_timeout: Duration = 10.0
    webhook_timeout: Duration = 5.0


class HomeAssistantSettings(Model):
    """Settings of `[homeassistant]`: MQTT discovery."""

    discovery: Literal["device", "component", "off"] = "device"
    prefix: TopicStart = "homeassistant"
    name: str | None = None  # of the device; None: the agent's id
    area: str | None = None


class LogSettings(Model):
    """Settings of `[log]`: format and level."""

    format: Literal["auto", "console", "json", "journal"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class TraceSettings(Model):
    """Settings of `[trace]`: the stored numbers, never images, that explain why a gesture fired or not."""

    enabled: bool = True
    keep: Duration = 3600.0
    bytes: Annotated[int, Field(ge=100_000, le=10**12)] = 10_000_000


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f'{text!r} is no address; write one like "172.30.32.2"') from None


IpAddress: TypeAlias = Annotated[str, AfterValidator(_ip_address)]


class WebSettings(Model):
    """Settings of `[web]`: web UI, WebSocket and SSE streams, and /metrics."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765  # 0: any free port, written to the log
    token: Secret | None = None
    preview: bool = False
    edit: bool = False
    names: tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...] = ()
    origins: tuple[Annotated[Address, Field(pattern=ORIGIN_PATTERN)], ...] = ()
    proxies: tuple[IpAddress, ...] = ()
    proxies_log_in: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the web UI."""
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

    @model_validator(mode="after")
    def _editors_need_a_token(self) -> WebSettings:
        if self.edit and self.token is None:
            raise ValueError(
                'edit = true lets visitors change rules; write token = { file = "web-token" } '
                "with a secret of your own in that file"
            )
        return self


class Settings(Model):
    """All settings, one field for each section of `config.toml`."""

    agent: AgentSettings = Field(default_factory=AgentSettings)
    camera: dict[Id, CameraSettings] = Field(default_factory=dict)
    recognition: RecognitionSettings = RecognitionSettings()
    idle: IdleSettings = IdleSettings()
    debounce: DebounceSettings = DebounceSettings()
    mqtt: MqttSettings = MqttSettings()
    outbox: OutboxSettings = OutboxSettings()
    actions: ActionsSettings = ActionsSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    trace: TraceSettings = TraceSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
