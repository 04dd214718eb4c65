import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.config.secret_file import MOST_BYTES, read_secret
from agent.config.settings import CameraSettings, Secret

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("content", [b"hunter2", b"hunter2\n", b"hunter2\r\n", b"\xef\xbb\xbfhunter2\r\n"])
def test_a_secret_is_the_text_without_line_end_and_byte_order_mark(tmp_path: Path, content: bytes):
    (tmp_path / "secret").write_bytes(content)
    assert read_secret(tmp_path / "secret") == "hunter2"


@pytest.mark.parametrize("content", ["hunter2".encode("utf-16"), b"h\xfcnter2", b"hunter2\0"])
def test_what_is_not_utf8_is_refused_and_not_repeated(tmp_path: Path, content: bytes):
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(OSError, match="save it as UTF-8") as refused:
        read_secret(tmp_path / "secret")
    assert "nter2" not in repr(refused.value)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_secret(tmp_path / "pipe")


def test_a_file_that_is_far_too_long_is_no_secret(tmp_path: Path):
    (tmp_path / "film").write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(OSError, match="no secret"):
        read_secret(tmp_path / "film")


def test_an_empty_password_is_sent(tmp_path: Path):
    (tmp_path / "empty").write_text("")
    camera = CameraSettings(source="http://cam/1", user="admin", password=Secret(file=tmp_path / "empty"))
    assert camera.address() == "http://admin:@cam/1"
    assert CameraSettings(source="http://cam/1", user="admin").address() == "http://admin:@cam/1"


def test_a_password_goes_where_the_source_asks_for_it(tmp_path: Path):
    (tmp_path / "secret").write_text("p@ss/word")
    password = Secret(file=tmp_path / "secret")
    source = "rtsp://cam/user={user}_password={password}_channel=1"
    camera = CameraSettings(source=source, user="me@home", password=password)
    assert camera.address() == "rtsp://cam/user=me%40home_password=p%40ss%2Fword_channel=1"


def test_names_that_the_documents_propose_for_secrets_are_ignored_by_git():
    texts = [REPOSITORY / "config.toml", REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    names = {
        name
        for text in texts
        for name in re.findall(r'(?:password|token) = \{ file = "([^"/]+)" \}', text.read_text("utf-8"))
    } - {"PATH"}
    assert {"mqtt-password", "front-password"} <= names
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(sorted(names)), cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ignored.returncode == 128:
        pytest.skip(f"not a checkout: {ignored.stderr}")
    assert set(ignored.stdout.split()) == names
