"""Every setting of the agent, as frozen models. `config.toml` is the same list for people.

A part of the agent receives its own small model from here, never the whole `Settings`.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from agent.core.duration import format_duration, parse_duration


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, when_used="json"),
    Field(ge=0),
]
"""Seconds; written as text with a unit ("300ms", "1.5s", "2min")."""

Id = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
"""A name that is safe inside an MQTT topic."""

Share = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Secret(Model):
    """A secret, always in a file of its own: never in the settings, the environment or a log."""

    file: Path

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
    width: Annotated[int, Field(ge=64, le=7680)] = 640
    height: Annotated[int, Field(ge=64, le=4320)] = 480
    fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    rotate: Literal[0, 90, 180, 270] = 0
    mirror: bool = False
    loop: bool = False  # files and folders: start again at the end
    stall: Duration = 3.0  # no frame, or the same frame, for this long: the camera is lost


class RecognitionSettings(Model):
    """Which networks look, and how."""

    backend: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    pose: Literal["blazepose", "bodyposenet"] = "blazepose"
    proposal: Literal["pose", "palm", "both"] = "both"
    gestures: str = "gesturenet-landmark"
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    people: Annotated[int, Field(ge=1, le=16)] = 2
    min_person: Share = 0.5
    min_hand: Share = 0.5


class RestSettings(Model):
    """How the agent rests while nobody is in view."""

    fps: Annotated[float, Field(gt=0, le=240)] = 4.0
    after: Duration = 5.0


class DebounceSettings(Model):
    """From probabilities to events."""

    smoothing: Duration = 0.15
    confidence: Share = 0.75
    keep: Share = 0.5
    hold: Duration = 0.3
    release: Duration = 0.4
    cooldown: Duration = 0.5
    max_age: Duration = 5.0

    @model_validator(mode="after")
    def _hysteresis_is_ordered(self) -> DebounceSettings:
        if self.keep > self.confidence:
            raise ValueError(f"keep ({self.keep}) must not be above confidence ({self.confidence})")
        return self


class TlsSettings(Model):
    """TLS of the MQTT connection; used when the URL says mqtts://."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True


class MqttSettings(Model):
    """Where events go."""

    url: Annotated[str, Field(pattern=r"^(embedded|mqtts?://[^/\s]+)$")] = "mqtt://localhost:1883"
    base: Annotated[str, Field(pattern=r"^[^#+\s]+$")] = "gesture"
    user: str | None = None
    password: Secret | None = None
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive: Annotated[int, Field(ge=5, le=3600)] = 20
    tls: TlsSettings = TlsSettings()


class OutboxSettings(Model):
    """How much may wait for a broker that is away."""

    rows: Annotated[int, Field(ge=10)] = 10_000
    queue_bytes: Annotated[int, Field(ge=10_000)] = 16_000_000


class LogSettings(Model):
    """How the agent speaks."""

    format: Literal["auto", "console", "json", "journal"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Model):
    """All of it."""

    agent: AgentSettings = Field(default_factory=AgentSettings)
    camera: dict[Id, CameraSettings] = Field(default_factory=dict)
    recognition: RecognitionSettings = RecognitionSettings()
    rest: RestSettings = RestSettings()
    debounce: DebounceSettings = DebounceSettings()
    mqtt: MqttSettings = MqttSettings()
    outbox: OutboxSettings = OutboxSettings()
    log: LogSettings = LogSettings()
