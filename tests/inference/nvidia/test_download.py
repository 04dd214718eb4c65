"""Downloads from a real server on the loopback that breaks, refuses, lies and fills the disk."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from files_server import Served, serving
from networks import bodyposenet, gesturenet
from support.ports import free_port
from support.small_disk import mount_small_disk

from agent.errors import ModelError
from agent.inference.files.store import locate, manifest_of
from agent.inference.manifest import FileSource
from agent.inference.nvidia.download import PIECE_BYTES, Waiting, _start, _total, download
from agent.inference.nvidia.etlt import has_decoder
from agent.inference.nvidia.ngc import NgcOptions, fetch_from_ngc

CONTENT = bytes(range(256)) * 8192  # 2 MiB
AT_ONCE = Waiting(timeout_s=5.0, pause_s=0.0, tries=4)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is asked, and nobody on the way to it."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_file_comes_whole_with_its_progress(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with serving(Served(CONTENT)) as url:
        path = download(f"{url}/model.onnx", tmp_path / "m", lambda *t: told.append(t), AT_ONCE)
    assert path.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > len(CONTENT) // PIECE_BYTES
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_line_that_is_cut_again_and_again_goes_on_where_it_was(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[500_000, 500_000, 0, 0, 500_000, 10])
    with serving(served) as url:
        path = download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE)
    assert path.read_bytes() == CONTENT
    assert served.requests[0] is None
    assert served.requests[1] == "bytes=500000-"
    assert len(served.requests) == 7


def test_what_was_kept_is_gone_on_with_by_the_next_command(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[700_000, 0, 0, 0])
    with serving(served) as url:
        with pytest.raises(ModelError, match=r"the line broke.*700,000 bytes are kept, the next try goes on"):
            download(f"{url}/model.onnx", tmp_path / "m", waiting=Waiting(5.0, 0.0, tries=3))
        assert not (tmp_path / "m").exists()
        served.cuts.clear()
        assert download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT
    assert served.requests[-1] == "bytes=700000-"


def test_a_file_that_changed_in_between_is_fetched_anew(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[700_000, 0, 0])
    with serving(served) as url:
        with pytest.raises(ModelError):
            download(f"{url}/model.onnx", tmp_path / "m", waiting=Waiting(5.0, 0.0, tries=2))
        served.content, served.cuts = CONTENT[::-1], []
        assert download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT[::-1]


def test_a_part_of_another_address_is_not_gone_on_with(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[700_000, 0, 0])
    with serving(served) as url:
        with pytest.raises(ModelError):
            download(f"{url}/one", tmp_path / "m", waiting=Waiting(5.0, 0.0, tries=2))
        served.cuts.clear()
        download(f"{url}/two", tmp_path / "m", waiting=AT_ONCE)
    assert served.requests[-1] is None


@pytest.mark.parametrize("faults", [{"ranges": False}, {"etag": ""}, {"etag": 'W/"weak"'}])
def test_a_server_that_cannot_go_on_starts_over(tmp_path: Path, faults: dict[str, bool | str]) -> None:
    served = Served(CONTENT, cuts=[700_000], **faults)  # type: ignore[arg-type]
    with serving(served) as url:
        assert download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT


def test_a_server_that_names_no_length_is_believed(tmp_path: Path) -> None:
    with serving(Served(CONTENT, length=False)) as url:
        assert download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_over(tmp_path: Path) -> None:
    served = Served(CONTENT, cuts=[700_000, 0, 0])
    with serving(served) as url:
        with pytest.raises(ModelError):
            download(f"{url}/model.onnx", tmp_path / "m", waiting=Waiting(5.0, 0.0, tries=2))
        with (tmp_path / "m.part").open("ab") as part:
            part.truncate(len(CONTENT) + 5)
        served.cuts.clear()
        assert download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    served = Served(CONTENT)
    with serving(served) as url:
        served.redirect = f"{url}/there"
        assert download(f"{url}/moved", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"answers 401 Unauthorized: it wants a login.*models import FILE"),
        (403, r"answers 403 Forbidden: it wants a login"),
        (404, r"answers 404 Not Found: the file has moved"),
        (418, r"answers 418 I'm a Teapot; download it with a browser"),
    ],
)
def test_a_servers_no_is_reported_at_once_with_what_to_do(tmp_path: Path, status: int, said: str) -> None:
    served = Served(CONTENT, answers=[status])
    with serving(served) as url, pytest.raises(ModelError, match=said):
        download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE)
    assert len(served.requests) == 1


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:
    with serving(Served(CONTENT, answers=[500, 503, 429, 200])) as url:
        assert download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE).read_bytes() == CONTENT


def test_a_server_that_stays_in_trouble_is_given_up(tmp_path: Path) -> None:
    served = Served(CONTENT, answers=[500] * 9)
    said = r"the server answers 500 Internal Server Error; it is in trouble, try again later; tried 4 times"
    with serving(served) as url, pytest.raises(ModelError, match=said):
        download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE)


def test_a_page_in_place_of_the_file_is_noticed(tmp_path: Path) -> None:
    with (
        serving(Served(b"<html>log in", kind="text/html")) as url,
        pytest.raises(ModelError, match="gives a page"),
    ):
        download(f"{url}/model.onnx", tmp_path / "m", waiting=AT_ONCE)


def test_a_server_that_falls_silent_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/model.onnx"
        with pytest.raises(ModelError, match=r"127.0.0.1 does not answer; is there a network"):
            download(url, tmp_path / "m", waiting=Waiting(timeout_s=0.2, pause_s=0.0, tries=2))


def test_nobody_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"127.0.0.1 refuses the connection; is a proxy needed"):
        download(f"http://127.0.0.1:{free_port()}/model.onnx", tmp_path / "m", waiting=AT_ONCE)


def test_a_name_that_is_not_known_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the name nobody.invalid is not known here"):
        download("http://nobody.invalid/model.onnx", tmp_path / "m", waiting=AT_ONCE)


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no http or https address"):
        download("file:///etc/passwd", tmp_path / "m")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 1 MB."""
    with mount_small_disk(tmp_path / "disk", "1m") as folder:
        yield folder


@pytest.mark.root
def test_a_full_disk_is_reported_with_what_is_free(small_disk: Path) -> None:
    with serving(Served(CONTENT)) as url, pytest.raises(ModelError, match=r"the disk is full.*make room"):
        download(f"{url}/model.onnx", small_disk / "m", waiting=AT_ONCE)


def test_a_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        serving(Served(CONTENT)) as url,
        pytest.raises(ModelError, match=r"cannot be written.*agent.cache_dir"),
    ):
        download(f"{url}/model.onnx", tmp_path / "file" / "m", waiting=AT_ONCE)


# --- NVIDIA's, with the licence ----------------------------------------------------------------------------


def test_nothing_is_asked_of_nvidia_before_the_licence_is_accepted(tmp_path: Path) -> None:
    served = Served(bodyposenet())
    with (
        serving(served) as url,
        pytest.raises(
            ModelError, match=r"Read it at https://catalog.ngc.nvidia.com/.*--accept-nvidia-licence"
        ),
    ):
        fetch_from_ngc("bodyposenet", tmp_path, NgcOptions(accepted=False, url=f"{url}/model.onnx"))
    assert served.requests == []


def test_an_accepted_model_is_fetched_through_a_bad_line_and_selectable(tmp_path: Path) -> None:
    content = bodyposenet()
    with serving(Served(content, cuts=[5000, 5000], answers=[200, 503, 200])) as url:
        terms = NgcOptions(accepted=True, url=f"{url}/files/model.onnx?token=x")
        made = fetch_from_ngc("bodyposenet", tmp_path, terms, waiting=AT_ONCE)
    assert locate("bodyposenet", tmp_path) == made.path
    source = manifest_of("bodyposenet", tmp_path).source
    assert isinstance(source, FileSource)
    assert (source.sha256, source.origin_sha256) == (made.sha256, made.sha256)
    assert source.origin == terms.url
    assert not list((tmp_path / "downloads").iterdir())


def test_a_file_that_is_another_network_is_refused(tmp_path: Path) -> None:
    with (
        serving(Served(b"\x08\x08" + bytes(100))) as url,
        pytest.raises(ModelError, match=r"is no ONNX|truncated"),
    ):
        fetch_from_ngc(
            "bodyposenet", tmp_path, NgcOptions(accepted=True, url=f"{url}/model.onnx"), waiting=AT_ONCE
        )
    assert not list(tmp_path.rglob("manifest.toml"))


def test_a_decoder_that_is_missing_is_reported_before_the_download(tmp_path: Path) -> None:
    if has_decoder():
        pytest.skip("NVIDIA's decoder is here")
    served = Served(gesturenet())
    with serving(served) as url, pytest.raises(ModelError, match="nvidia-eff-tao-encryption is needed"):
        fetch_from_ngc("gesturenet-nvidia", tmp_path, NgcOptions(accepted=True, url=f"{url}/model.etlt"))
    assert served.requests == []


def test_what_is_not_nvidias_does_not_come_from_ngc(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not come from NGC"):
        fetch_from_ngc("palm-detector", tmp_path, NgcOptions(accepted=True))


@pytest.mark.parametrize("said", ["²", "9" * 5000, "-1", "1e400", "NaN", "", "12 34"])
def test_a_length_that_is_no_number_is_no_length(said: str) -> None:
    assert _total(200, {"Content-Length": said}, 0) is None
    assert _total(206, {"Content-Range": f"bytes 0-1/{said}"}, 0) is None
    assert _start({"Content-Range": f"bytes {said}-9/10"}) in {None, 0}
