"""Every error the agent raises on purpose.

Three kinds of failure, chosen on purpose:

* `CannotStart`: something a person must mend (bad settings, no model). Exit 3, not restarted.
* `LostForNow`: the world is away (camera, broker). Degrade, back off, report, recover.
* anything else is a bug: the process crashes and systemd starts it again.
"""

from __future__ import annotations


class GestureAgentError(Exception):
    """Base of all errors below; its text is written for the person who reads the log."""


class CannotStart(GestureAgentError):  # noqa: N818 (reads as the verdict that it is)
    """The agent cannot run until a person changes something; the text says what."""


NO_CAMERA = 'no camera is set; write [camera.front] and source = "v4l2:/dev/video0" into config.toml'


class ConfigError(CannotStart):
    """Settings or rules that do not hold up; the text lists every problem with file:line:column."""


class ModelError(CannotStart):
    """A model file is missing, is not what its manifest says, or cannot be loaded."""


class EngineError(GestureAgentError):
    """A loaded network failed on an input; the text has its name, the input seen and the one expected."""


class UnreadablePicture(GestureAgentError):  # noqa: N818
    """A picture file or JPEG that cannot be shown; the text says what was seen, without a name."""


class LostForNow(GestureAgentError):  # noqa: N818
    """Something outside is away and may come back by itself."""


class SourceLost(LostForNow):
    """A camera gives no frames: gone, frozen, refused, or a damaged stream."""


class EndOfSource(LostForNow):
    """A file or folder has been played to its end."""


class EngineAway(LostForNow):
    """A network that runs on another machine does not answer, or not as it should."""


class BrokerLost(LostForNow):
    """The MQTT broker refuses, is unreachable, or went away."""
