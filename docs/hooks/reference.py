"""MkDocs hook: generates reference pages from the code and checks links into the repository.

A line `<!-- generate: NAME -->` in a page is replaced by the output of `GENERATORS[NAME]`.
Problems are logged as warnings, which end a strict build.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REPOSITORY = "https://github.com/gesture-agent/gesture-agent/"
log = logging.getLogger("mkdocs.hooks.reference")

_MARKER = re.compile(r"^<!-- generate: ([\w-]+) -->$", re.MULTILINE)
_IN_REPOSITORY = re.compile(re.escape(REPOSITORY) + r"(?:blob|tree)/main/([^)\s#\"'>]+)")
_PATH = re.compile(r"`((?:agent|tests|bench|training|packaging|systemd)/[\w./-]+\.(?:py|cu|md|toml))[`:]")
_SETTING = re.compile(r"^#?(\w+) = (.+?)\s+# (.*)$")
_SECTION = re.compile(r"^\[([\w.]+)\]\s*(?:# (.*))?$")
_TITLE = re.compile(r"^# --- (.+?) -+$")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the markers of a page, and check what it says of topics, routes and files."""
    for path in _IN_REPOSITORY.findall(markdown) + _PATH.findall(markdown):
        if "NAME" not in path and not (ROOT / path).exists():
            log.warning("%s names %s, which is not in the repository", page.file.src_path, path)
    if (named := NAMED.get(page.file.src_uri)) is not None:
        for name in named():
            if name not in markdown:
                log.warning("%s does not mention %s", page.file.src_path, name)
    return _MARKER.sub(lambda match: GENERATORS[match[1]](), markdown)


# --- settings ---------------------------------------------------------------------------------------------


def settings() -> str:
    """One table per section of config.toml: name, default, meaning."""
    out: list[str] = []
    rows: list[list[str]] = []
    topic = ""
    for line in (ROOT / "config.toml").read_text(encoding="utf-8").splitlines():
        if (title := _TITLE.match(line)) is not None:
            _flush(out, rows)
            topic = title[1]
        elif (section := _SECTION.match(line)) is not None:
            _flush(out, rows)
            name = section[1].replace("camera.front", "camera.NAME")
            out.append(f"\n## `[{name}]`\n\n{_sentence(section[2] or topic)}.\n")
            topic = ""
        elif (found := _SETTING.match(line)) is not None:
            rows.append(list(found.groups()))
        elif rows and line.startswith("   ") and "# " in line:
            rows[-1][2] += " " + line.split("# ", 1)[1]
    _flush(out, rows)
    return "\n".join(out)


def _flush(out: list[str], rows: list[list[str]]) -> None:
    if not rows:
        return
    out += ["", "| setting | default | meaning |", "|---|---|---|"]
    for name, value, text in rows:
        default, meaning = f"`{value}`", text
        if text.startswith("example; "):
            meaning, _, said = text.removeprefix("example; ").partition("; default: ")
            default, meaning = said or "none", f"{meaning}. Example: `{value}`"
        out.append(f"| `{name}` | {_cell(default)} | {_cell(_sentence(meaning))} |")
    rows.clear()


def renamed_keys() -> str:
    """Old and new names of keys that have been renamed."""
    from agent.config.renamed_keys import RENAMED_RULE_KEYS, RENAMED_SETTINGS

    lines = ["| where | old | new |", "|---|---|---|"]
    for where, keys in (("config.toml", RENAMED_SETTINGS), ("rule files", RENAMED_RULE_KEYS)):
        for key in keys:
            table = ".".join("NAME" if part == "*" else part for part in key.table)
            lines.append(f"| {where}{f', `[{table}]`' if table else ''} | `{key.old}` | `{key.new}` |")
    return "\n".join(lines)


# --- rule grammar -----------------------------------------------------------------------------------------

_TABLES = {
    "RuleTable": ("`[[rule]]`", "One rule: a condition and what it does."),
    "WhenTable": ("`when`", "The condition of a rule."),
    "ValueTable": ("`if`", "A test of the last value of an MQTT topic."),
    "PublishTable": ("`publish`", "Publishes an MQTT message."),
    "WebhookTable": ("`webhook`", "Calls an HTTP address."),
    "DialTable": ("`dial`", "Publishes a value that follows the hand."),
    "ActionTable": ("`do`", "An entry of the list `do`: exactly one of these."),
    "WakeTable": ("`[wake]`", "The gesture that arms the rules with `armed = true`."),
    "ZoneTable": ("`[zone.NAME]`", "A part of a camera's picture."),
    "CaseTable": ("`[[case]]`", "A test of the rules in this file."),
    "ExpectTable": ("`expect`", "An entry of the list `expect` of a case."),
}


_MEANINGS = {
    "": {
        "wake": "The wake gesture",
        "zone": "Zones, by name",
        "rule": "The rules, in order: the first that matches acts",
        "case": "The tests",
    },
    "RuleTable": {
        "id": "Name of the rule: a-z 0-9 _ -",
        "when": "The condition",
        "publish": "An MQTT message",
        "webhook": "An HTTP POST",
        "dial": 'A value that follows the hand; needs `move = "vertical"` or `"horizontal"`',
        "cooldown": "The rule does not fire again for this long; default: `debounce.cooldown`",
        "max_age": "An action not done within this time is dropped; default: `debounce.max_age`",
    },
    "WhenTable": {
        "sequence": "Gestures of one hand, one after the other",
        "within": "The sequence must be complete within this time",
        "move": "The hand holds the gesture and moves: a swipe, a wave, or the axis of a dial",
        "hand": "Which hand of the person",
        "camera": "Only this camera",
        "person": "Only this person: 0 is the first that is followed",
        "zone": "The hand is in this zone",
        "min_hand": "Hand height / frame height, at least: a limit to the distance",
        "armed": "Only within the window of the wake gesture",
        "between": 'Only at this time of day: `["22:00", "06:00"]`',
        "if": "Only while these values of MQTT topics hold",
    },
    "ValueTable": {
        "topic": "The topic to follow",
        "is": "The value equals this",
        "not": "The value differs from this",
        "above": "The value is a number above this",
        "below": "The value is a number below this",
    },
    "PublishTable": {
        "topic": "The topic; template fields are filled in",
        "payload": "Text, or JSON; template fields are filled in",
        "retain": "The broker keeps the message for later subscribers",
    },
    "WebhookTable": {
        "url": "Address; template fields are filled in",
        "json": "Body, sent as JSON",
        "text": "Body, sent as text",
        "headers": "Further HTTP headers",
    },
    "ActionTable": {"publish": "An MQTT message", "webhook": "An HTTP POST"},
    "DialTable": {
        "topic": "The topic to publish to",
        "from": "Value at the low end",
        "to": "Value at the high end",
        "every": "Shortest time between two messages",
        "follow_json": "Path into the JSON of that topic",
        "payload": "Payload; `{value}` is the value",
        "retain": "The broker keeps the message for later subscribers",
    },
    "WakeTable": {
        "gesture": "The gesture that arms the rules",
        "hand": "Which hand",
        "hold": "How long it must be held",
        "window": "How long the rules stay armed",
    },
    "ZoneTable": {"camera": "Only in this camera; default: in all"},
    "CaseTable": {
        "title": "What the case shows",
        "left": "The same for the left hand",
        "camera": "The camera that sees the hands",
        "time": 'Time of day, as in "20:15"',
        "tolerance": "How far an action may be from its `at`",
        "expect": "All actions that must follow, in order; an empty list: none",
    },
    "ExpectTable": {
        "at": "When, from the start of the timeline",
        "rule": "Id of the rule",
        "topic": "Topic of the message",
        "payload": "Payload of the message",
        "url": "Address of the webhook",
        "json": "Body of the webhook",
        "command": "Program and arguments",
        "key": "The key",
    },
}
"""What the schema does not describe yet."""
_ANYWHERE = {
    "confidence": "Confidence that starts the gesture; default: that of the settings",
    "hold": "How long the gesture must be held; default: `debounce.hold`",
    "release": "How long it must be away until it ends; default: `debounce.release`",
}


def rule_grammar() -> str:
    """One table per kind of entry in rules.schema.json."""
    schema = json.loads((ROOT / "rules/rules.schema.json").read_text(encoding="utf-8"))
    out = ["## The file", "", *_properties("", schema)]
    for name, (title, text) in _TABLES.items():
        out += ["", f"## {title}", "", text, "", *_properties(name, schema["$defs"][name])]
    missing = set(schema["$defs"]) - set(_TABLES) - {"JsonValue"}
    if missing:
        log.warning("rule grammar: no heading for %s", ", ".join(sorted(missing)))
    return "\n".join(out)


def _properties(kind: str, table: dict[str, Any]) -> Iterator[str]:
    yield from ("| key | value | default | meaning |", "|---|---|---|---|")
    required = table.get("required", [])
    for name, spec in table["properties"].items():
        default = "required" if name in required else _default(spec)
        text = spec.get("description") or _MEANINGS.get(kind, {}).get(name) or _ANYWHERE.get(name)
        if text is None:
            log.warning("rule grammar: %s.%s has no description", kind, name)
        text = _sentence(text or "")
        yield f"| `{name}` | {_cell(_type(spec))} | {_cell(default)} | {_cell(text)} |"


def _default(spec: dict[str, Any]) -> str:
    value = spec.get("default")
    return "" if value in (None, [], {}) else f"`{json.dumps(value)}`"


def _type(spec: dict[str, Any]) -> str:
    if "$ref" in spec:
        return _TABLES.get(spec["$ref"].rsplit("/", 1)[1], ("any JSON value", ""))[0]
    if "anyOf" in spec:
        kinds = dict.fromkeys(_type(kind) for kind in spec["anyOf"] if kind.get("type") != "null")
        return " or ".join(kinds)
    if "enum" in spec:
        return ", ".join(f"`{json.dumps(value)}`" for value in spec["enum"])
    kind = spec.get("type", "any")
    inner = spec.get("items" if kind == "array" else "additionalProperties")
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    words |= {"array": "list", "object": "table"}
    of = f" of {_type(inner)}" if isinstance(inner, dict) and inner else ""
    low, high = (spec.get(name, spec.get(f"exclusive{name.title()}")) for name in ("minimum", "maximum"))
    limits = "" if low is None or high is None else f", {low} to {high}"
    return words.get(kind, kind) + of + limits


# --- commands ---------------------------------------------------------------------------------------------


def commands() -> str:
    """The help of every command."""
    import typer

    from agent.cli import app
    from agent.commands.lazy_commands import LazyGroup

    group: Any = typer.main.get_command(app)
    out = []
    for name, command in group.commands.items():
        lazy = LazyGroup.announced.get(name)
        out += _help(lazy.load(None) if lazy else command, f"gesture-agent {name}", level=2)
    return "\n".join(out)


def _help(command: Any, path: str, level: int) -> Iterator[str]:
    yield from ("", f"{'#' * level} {path.removeprefix('gesture-agent ')}", "")
    context = command.context_class(command, info_name=path, max_content_width=100, terminal_width=100)
    yield from ("```text", command.get_help(context).rstrip(), "```")
    for name, inner in getattr(command, "commands", {}).items():
        yield from _help(inner, f"{path} {name}", level + 1)


# --- metrics ----------------------------------------------------------------------------------------------


def metrics() -> str:
    """Name, type, labels and meaning of every metric, as registered for an agent at rest."""
    from agent.web.metrics import Metrics

    nothing: Any = _Nothing()
    dashboard: Any = _Nothing(about=_Nothing(cameras=["front"]))
    registry = Metrics(dashboard, nothing, nothing, None, nothing)._registry
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family in registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = getattr(family, "_labelnames", None) or [
            label for sample in family.samples[:1] for label in sample.labels if label != "le"
        ]
        text = _cell(family.documentation)
        lines.append(f"| `{name}` | {family.type} | {', '.join(labels)} | {text} |")
    return "\n".join(lines)


class _Nothing:
    """Stands for whatever a metric is read from: no items, zero, and again nothing behind every name."""

    def __init__(self, **known: Any) -> None:
        self.__dict__.update(known)

    def __getattr__(self, _name: str) -> _Nothing:
        return _Nothing()

    def __call__(self, *_: Any) -> _Nothing:
        return self

    def __getitem__(self, _key: Any) -> _Nothing:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __float__(self) -> float:
        return 0.0

    def __mul__(self, _by: float) -> float:
        return 0.0


# --- what pages must mention ------------------------------------------------------------------------------


def _topics() -> list[str]:
    from agent.delivery.topics import REQUESTS, Topics

    topics = Topics("gesture", "ID")
    names = [getattr(topics, name) for name, made in vars(Topics).items() if isinstance(made, property)]
    per_camera = (
        topics.camera_state,
        topics.event,
        topics.action,
        topics.gesture,
        topics.occupancy,
        topics.armed,
    )
    names += [make("CAM") for make in per_camera] + [topics.request(name) for name in REQUESTS]
    return [name.removeprefix("gesture/ID/") for name in names]


def _routes() -> list[str]:
    source = "".join(
        (ROOT / f"agent/web/{name}.py").read_text(encoding="utf-8") for name in ("routes", "rule_routes")
    )
    return [path for path in re.findall(r'Route\("([^"]+)"', source) if not path.endswith((".ico", "/login"))]


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _sentence(text: str) -> str:
    """The text with a capital, unless it begins with a value: "true: ..." or "a-z ..."."""
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,;]", text) else text


GENERATORS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "renamed-keys": renamed_keys,
    "rule-grammar": rule_grammar,
    "commands": commands,
    "metrics": metrics,
}
NAMED: dict[str, Callable[[], list[str]]] = {
    "reference/topics.md": _topics,
    "reference/http.md": _routes,
}
