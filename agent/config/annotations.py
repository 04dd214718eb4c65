"""What the annotations of settings are made of."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin


def members_of(kind: Any) -> Iterator[Any]:
    """A union's members, an annotation's type; anything else is itself."""
    if get_origin(kind) in {Union, UnionType}:
        for member in get_args(kind):
            yield from members_of(member)
    elif get_origin(kind) is Annotated:
        yield from members_of(get_args(kind)[0])
    else:
        yield kind
