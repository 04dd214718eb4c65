"""JSON Schema of the rule files, for editors: `#:schema ./rules.schema.json` on a file's first line.

`python -m agent.config.rules.schema > rules/rules.schema.json` regenerates it.
"""

from __future__ import annotations

import json
import sys

from agent.config.rules.grammar import RuleFile


def schema_text() -> str:
    """Return the text of `rules/rules.schema.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules of gesture-agent",
        **{key: value for key, value in RuleFile.model_json_schema().items() if key != "title"},
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
