"""Download of NVIDIA's files from NGC, after the user has accepted NVIDIA's licence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ModelError
from agent.inference.manifest import NgcSource, load_manifest
from agent.inference.nvidia.download import Progress, Waiting, download
from agent.inference.nvidia.etlt import has_decoder, how_to_decode
from agent.inference.nvidia.importing import Given, Imported, import_model
from agent.inference.nvidia.model_matching import Choices


@dataclass(frozen=True, slots=True)
class NgcOptions:
    """Options of an NGC download: acceptance of the licence, mirror and decoder."""

    accepted: bool
    url: str | None = None  # of a mirror
    python: Path | None = None  # an interpreter with NVIDIA's decoder


def fetch_from_ngc(
    name: str,
    cache_dir: Path,
    terms: NgcOptions,
    say: Callable[[str], None] = lambda _line: None,
    progress: Progress = lambda _done, _all: None,
    *,
    engines: Path | None = None,
    waiting: Waiting | None = None,
) -> Imported:
    """Download, decode, check and store a network. Raises `ModelError`: licence, network, decoder."""
    source = load_manifest(name, engines).source
    if not isinstance(source, NgcSource):
        raise ModelError(f"{name}: does not come from NGC; run `gesture-agent models fetch {name}`")
    if not terms.accepted:
        raise ModelError(
            f"{name}: is NVIDIA's, under NVIDIA's licence. Read it at {source.page}; if you accept it, run "
            f"`gesture-agent models fetch {name} --accept-nvidia-licence`"
        )
    url = terms.url or source.url
    file = url.split("?")[0].rpartition("/")[2]
    if file.endswith(".etlt") and terms.python is None and not has_decoder():
        raise ModelError(f"{name}: {how_to_decode()}")  # before 40 MB are downloaded in vain
    say(f"{name}: downloading {url}")
    kept = download(url, cache_dir / "downloads" / f"{name}-{file}", progress, waiting)
    given = Given(kept.read_bytes(), file, url, source.key, terms.python)
    try:
        return import_model(given, cache_dir, Choices(name=name), say, engines)
    finally:
        kept.unlink(missing_ok=True)
