"""The first settings and the first rule, as text: what `gesture-agent init` writes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from agent.config.rules.grammar import LETTERS
from agent.config.toml_value import mapped_texts, toml_value
from agent.core.rules.topics import topic_problem
from agent.errors import ConfigError

Kind: TypeAlias = Literal["event", "lamp", "webhook", "key", "publish"]
KINDS: dict[Kind, str] = {
    "event": "nothing more: Home Assistant (or whoever listens) gets the event",
    "lamp": "switch a Zigbee lamp: lamp:TOPIC, as in lamp:zigbee2mqtt/lamp/set",
    "webhook": "call an address: webhook:URL",
    "key": "press a key on this machine: key:KEY_PLAYPAUSE",
    "publish": "publish a message of your own: publish:TOPIC=PAYLOAD",
}
CAMERA = "front"
FRAMES_PER_S = 10  # letters a second in the rule's case
HELD_FRAMES = 5  # of the gesture in the rule's case after it has started
HOLD_S = 0.3  # debounce.hold unless the settings say otherwise
OTHER_LETTER = "G"  # of a taught gesture in the case


@dataclass(frozen=True, slots=True)
class StarterAction:
    """What the first gesture does: a kind, and the topic, URL or key that it needs."""

    kind: Kind = "event"
    target: str = ""
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Login:
    """A user, and the file that holds the password; None: there is none."""

    user: str
    password_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Starter:
    """All that was chosen. The address of camera and broker hold no login."""

    camera: str
    broker: str
    gesture: str
    action: StarterAction
    camera_login: Login | None = None
    broker_login: Login | None = None


def parse_action(text: str) -> StarterAction:
    """From "event", "lamp:TOPIC", "webhook:URL", "key:KEY", "publish:TOPIC=PAYLOAD". Raises `ConfigError`.

    A payload that is JSON is kept as such; a lamp is told {"state": "TOGGLE"}.
    """
    kind, _, target = text.strip().partition(":")
    match kind:
        case "event" if not target:
            return StarterAction()
        case "lamp" if target:
            return StarterAction("lamp", _topic(target), {"state": "TOGGLE"})
        case "webhook" if target.startswith(("http://", "https://")):
            return StarterAction("webhook", target)
        case "key" if target:
            return StarterAction("key", target.upper())
        case "publish" if target:
            topic, _, payload = target.partition("=")
            return StarterAction("publish", _topic(topic), _json_or_text(payload))
    known = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
    raise ConfigError(f'"{text}" is nothing that a gesture can do here; expected one of: {known}')


def _topic(topic: str) -> str:
    if problem := topic_problem(topic):
        raise ConfigError(f'"{topic}" is not a topic; {problem}')
    return topic


def _json_or_text(payload: str) -> Any:
    try:
        found = json.loads(payload)
    except ValueError:
        return payload
    return found if isinstance(found, dict | list) else payload


def config_text(starter: Starter, *, relative_to: Path) -> str:
    """config.toml. Password files below `relative_to` are named relative to it."""

    def named(login: Login | None) -> str:
        if login is None:
            return ""
        lines = f"user = {_toml(login.user)}\n"
        if login.password_file is None:
            return lines
        file = _relative(login.password_file, relative_to)
        return f"{lines}password = {{ file = {_toml(file)} }} # that file holds it and nothing else\n"

    keys = (
        "\n[actions]\nkeys = true                # rules may press keys; needs the right to /dev/uinput\n"
        if starter.action.kind == "key"
        else ""
    )
    return f"""\
# Settings of gesture-agent. What is not written here is at its default; `gesture-agent check` shows every
# setting, tries all parts and says what is wrong. Durations have a unit: "300ms", "1.5s", "2min".

[agent]
rules = "rules"            # folder of rule files

[camera.{CAMERA}]             # "{CAMERA}" is part of the topics; more cameras: more such sections
source = {_toml(starter.camera)}
{named(starter.camera_login)}
[mqtt]
url = {_toml(starter.broker)}
{named(starter.broker_login)}{keys}
#[web]
#enabled = true            # the page in the browser: what the agent sees now; this machine only
"""


def page_config_text(token_file: Path, *, relative_to: Path) -> str:
    """config.toml of an agent that is set up in the browser: its page, and neither camera nor broker."""
    return f"""\
# Settings of gesture-agent. What is not written here is at its default; `gesture-agent check` shows every
# setting, tries all parts and says what is wrong. Durations have a unit: "300ms", "1.5s", "2min".

[agent]
rules = "rules"            # folder of rule files

[web]
enabled = true             # the page in the browser, for this machine only; host = "0.0.0.0" lets others in
edit = true                # it may write rules, cameras and the broker
#preview = true            # it shows pictures; without, only where hands are
token = {{ file = {_toml(_relative(token_file, relative_to))} }} # that file holds it and nothing else
"""


def rule_text(
    gesture: str, does: StarterAction, *, rule_id: str | None = None, hold_s: float = HOLD_S
) -> str:
    """The rule file: one rule and the case that tests it; for an event alone both as comments.

    `hold_s` is that of the settings, so that the case holds under them.
    """
    rule_id = rule_id or f"{gesture.replace('_', '-')}-{does.kind}"
    letter, letters = _letter(gesture)
    action, expected = _action(does)
    held = HELD_FRAMES + math.ceil(hold_s * FRAMES_PER_S)
    body = f"""\
[[rule]]
id = "{rule_id}"
when = {{ gesture = {_toml(gesture)} }}
{action}
cooldown = "2s"

# Its test: a letter for each tenth of a second ({letter} {gesture}, . no hand), and what must happen.
[[case]]
title = "{gesture} fires {rule_id}"
{letters}right = "{letter * held}"
expect = [{{ at = "{hold_s:g}s", rule = "{rule_id}"{expected} }}]

[[case]]
title = "a hand that is seen too shortly does nothing"
{letters}right = "{letter}."
expect = []
"""
    head = "# Rules: when a gesture is made, do this. Test them without a camera: gesture-agent rules test\n"
    if does.kind != "event":
        return f"{head}\n{body}"
    commented = "".join(f"#{line}" if line.strip() else line for line in body.splitlines(keepends=True))
    return (
        f"{head}#\n# None yet: every gesture is published as an event, and Home Assistant finds it.\n"
        f"# An example to begin with:\n\n{commented}"
    )


def _letter(gesture: str) -> tuple[str, str]:
    """The letter in timelines, and the line that declares it where it is no built-in one."""
    found = next((letter for letter, label in LETTERS.items() if label == gesture), None)
    if found:
        return found, ""
    return OTHER_LETTER, f"letters = {{ {OTHER_LETTER} = {_toml(gesture)} }}\n"


def _action(action: StarterAction) -> tuple[str, str]:
    """The rule's line, and what its case expects of it."""
    target = _toml(_escaped(action.target))
    match action.kind:
        case "webhook":
            return f'webhook = {{ url = {target}, json = {{ gesture = "{{gesture}}" }} }}', ""
        case "key":
            return f"key = {target}", ""
        case "event":
            lamp = StarterAction("lamp", "zigbee2mqtt/lamp/set", {"state": "TOGGLE"})
            return _action(lamp)
    payload = _toml(_escaped(action.payload))
    return (
        f"publish = {{ topic = {target}, payload = {payload} }}",
        f", topic = {_toml(action.target)}, payload = {_toml(action.payload)}",
    )


def _escaped(value: Any) -> Any:
    """Braces of the user's own are no template fields."""
    return mapped_texts(value, lambda text: text.replace("{", "{{").replace("}", "}}"))


def _toml(value: Any) -> str:
    """A value on one line. Raises `ConfigError` for what TOML does not have."""
    try:
        return toml_value(value)
    except ValueError as exc:
        raise ConfigError(f"{exc}; write it by hand, with text in its place") from exc


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
