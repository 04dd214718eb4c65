"""Prints what pyproject.toml asks for at run time, a requirement a line: a layer of the image by itself."""

import sys
from pathlib import Path

import tomllib  # of the image's Python

EXTRAS = ("embedded",)

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
needs = [
    *project["dependencies"],
    *(need for name in EXTRAS for need in project["optional-dependencies"][name]),
]
sys.stdout.write("\n".join(needs) + "\n")
