"""`gesture-agent engines export`: our networks for other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import AsJson, ConfigFile, examples, loaded
from agent.commands.output import echo_json, warn
from agent.config.folders import cache_folder

EPILOG = examples(
    "gesture-agent engines export --deepstream /opt/gestures",
    "gesture-agent engines export --deepstream out --gestures gesturenet-nvidia",
)


def export(
    deepstream: Annotated[
        Path, typer.Option("--deepstream", metavar="DIR", help="Folder to write; made if it is not there.")
    ],
    gestures: Annotated[
        str,
        typer.Option("--gestures", metavar="NAME", help="The classifier: one that takes upright pictures."),
    ] = "gesturenet",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write configuration, labels and networks for DeepStream's nvinfer.

    A secondary engine for the gestures and a primary one for BodyPoseNet, with notes for the parser. Without
    BodyPoseNet on this machine its configuration is written all the same.
    """
    from agent.inference.nvidia.deepstream import export as write

    cache = cache_folder(loaded(config).settings.agent, os.environ)
    done = write(deepstream, cache, gestures)
    if as_json:
        echo_json({"files": [str(path) for path in done.files], "left_out": list(done.left_out)})
        return
    for path in done.files:
        typer.echo(path)
    for reason in done.left_out:
        warn(f"left out: {reason}")
