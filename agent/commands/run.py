"""`gesture-agent run`: the daemon."""

from __future__ import annotations

import os
import sys

from agent.commands.options import ConfigFile, examples, loaded

EPILOG = examples(
    "gesture-agent run",
    "gesture-agent run --config /etc/gesture-agent/config.toml",
    "GESTURE_AGENT__MQTT__URL=embedded gesture-agent run     without a broker of your own",
)


def run(config: ConfigFile = None) -> None:
    """Watch the cameras and publish gestures, until Ctrl-C or SIGTERM.

    SIGHUP reloads the rules. The agent waits for unreachable cameras and brokers.
    """
    from agent.service.memory import bound_arenas

    bound_arenas()  # before any thread starts
    from agent.app import run_agent
    from agent.config.load import SEARCHED
    from agent.service.logs import configure_logs

    found = loaded(config, need_files=True, as_service=False)
    configure_logs(found.settings.log)
    if run_agent(
        found.settings, settings_file=found.file or SEARCHED[0]
    ):  # restart requested: replace the process image
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
