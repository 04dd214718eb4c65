"""Exceptions that the agent raises on purpose.

Three kinds of failure:

* `CannotStart`: the user must fix something (bad settings, no model). Exit 3, not restarted.
* `LostForNow`: something external is unavailable (camera, broker). Degrade, back off, report, recover.
* anything else is a bug: the process crashes and systemd restarts it.
"""

from __future__ import annotations


class GestureAgentError(Exception):
    """Base of all exceptions of the agent; the text is written for the user who reads the log."""


class CannotStart(GestureAgentError):  # noqa: N818 (reads as the verdict that it is)
    """The agent cannot run until the user changes something; the text says what."""


NO_CAMERA = (
    'no camera is set; write [camera.front] and source = "v4l2:/dev/video0" into config.toml, or let the '
    "page set one up ([web] with enabled and edit)"
)


class ConfigError(CannotStart):
    """Invalid settings or rules; the text lists every problem with file:line:column."""


class ModelError(CannotStart):
    """A model file is missing, does not match its manifest, or cannot be loaded."""


class EngineError(GestureAgentError):
    """A loaded network failed on an input; the text has its name, the input seen and the one expected."""


class UnreadablePicture(GestureAgentError):  # noqa: N818
    """An image file or JPEG cannot be decoded; the text says what was found, without a name."""


class LostForNow(GestureAgentError):  # noqa: N818
    """Something external is unavailable and may recover by itself."""


class SourceLost(LostForNow):
    """A camera delivers no frames: disconnected, frozen, refused, or a damaged stream."""


class EndOfSource(LostForNow):
    """A file or folder has been played to its end."""


class EngineAway(LostForNow):
    """A remote network does not answer, or answers incorrectly."""


class BrokerLost(LostForNow):
    """The MQTT broker refuses, is unreachable, or has disconnected."""
