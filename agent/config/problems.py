"""Problems in settings and rule files, formatted like compiler errors: file:line:column, seen, expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from agent.errors import ConfigError

MOST_SHOWN = 100  # problems in one message, which is also sent over MQTT
ALIKE = 60.0  # per cent similarity (Indel ratio) below which a suggestion would mislead


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """A problem at one position. Line and column count from 1; line 0 means that there is no position."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.text}"


class ConfigProblems(ConfigError):  # noqa: N818 (there may be many)
    """All problems of the files that were read, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"... and {len(self.problems) - MOST_SHOWN} more")
        super().__init__("\n".join(lines))


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """Return the most similar choice, or None where none is similar enough."""
    found = process.extractOne(
        word, sorted(choices), scorer=fuzz.ratio, processor=str.casefold, score_cutoff=ALIKE
    )
    return str(found[0]) if found else None


def unknown(what: str, word: str, choices: Iterable[str]) -> str:
    """Return `unknown gesture "thumb_up"; did you mean "thumbs_up"?`, or the choices if none is similar."""
    known = sorted(choices)
    if meant := did_you_mean(word, known):
        return f'unknown {what} "{word}"; did you mean "{meant}"?'
    return f'unknown {what} "{word}"; known: {", ".join(known) or "none"}'
