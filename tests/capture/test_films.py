"""What a recording says of how its pictures are to be shown, with real files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from real_cameras import picture, write_images, write_video
from structlog.testing import capture_logs

from agent.capture.decoding import shown_as
from agent.capture.deinterlace import deinterlaced
from agent.capture.source import open_source
from agent.capture.video import VideoFile
from agent.config.settings import CameraSettings
from agent.core.types import Frame, Image
from agent.errors import EndOfSource, SourceLost

ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="no ffmpeg to write films: apt install ffmpeg"
)


def film(path: Path, source: str, *options: str) -> Path:
    """A film of a source of FFmpeg's lavfi."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *options, str(path)]
    subprocess.run(command, check=True)
    return path


def played(path: Path | str, **settings: object) -> list[Frame]:
    source = open_source(CameraSettings.model_validate({"source": str(path), **settings}), "f", pace=False)
    source.open()
    frames: list[Frame] = []
    try:
        while True:
            frames.append(source.read())
    except EndOfSource:
        return frames
    finally:
        source.close()


def corners(image: Image) -> list[int]:
    """Mean brightness of the four quarters: top left, top right, bottom left, bottom right."""
    h, w = image.shape[0] // 2, image.shape[1] // 2
    return [int(part.mean()) for part in (image[:h, :w], image[:h, w:], image[h:, :w], image[h:, w:])]


def combs(image: Image) -> float:
    """How far, on average, a line stands out from both its neighbours in the same direction."""
    lines = image.astype(int).mean(axis=2)
    above, below = lines[1:-1] - lines[:-2], lines[1:-1] - lines[2:]
    return float((np.minimum(abs(above), abs(below)) * (above * below > 0)).mean())


@ffmpeg
@pytest.mark.parametrize(
    "options", [("-c:v", "libx264", "-flags", "+ildct+ilme"), ("-c:v", "mpeg2video", "-flags", "+ildct+ilme")]
)
def test_an_interlaced_film_shows_its_pictures(tmp_path: Path, options: tuple[str, ...]):
    source = "testsrc2=size=320x240:rate=50,interlace,fps=25"
    plain = played(film(tmp_path / "plain.mkv", "testsrc2=size=320x240:rate=25", "-t", "1"))
    frames = played(film(tmp_path / "interlaced.mkv", source, "-t", "1", *options))
    assert len(frames) >= 24
    assert abs(frames[5].image.mean() - plain[5].image.mean()) < 5
    assert combs(frames[5].image) < 2 * combs(
        plain[5].image
    )  # as they lie in the file they have four times as many


def test_what_moved_between_two_fields_leaves_no_comb():
    first, second = np.full((64, 96, 3), 40, np.uint8), np.full((64, 96, 3), 40, np.uint8)
    first[:, 20:40] = second[:, 26:46] = 220  # a bar that moved six pixels
    woven = first.copy()
    woven[1::2] = second[1::2]
    result = deinterlaced(woven)
    assert np.array_equal(result[:, :18], woven[:, :18])  # what stood still is kept
    assert np.abs(result.astype(int) - first).mean() < np.abs(woven.astype(int) - first).mean() / 4


def test_fine_detail_that_stands_still_keeps_its_height():
    image = np.zeros((64, 64, 3), np.uint8)
    image[10:30] = 200  # edges, no single lines
    assert np.array_equal(deinterlaced(image), image)


@ffmpeg
@pytest.mark.parametrize(("aspect", "shape"), [("2/1", (120, 320)), ("1/2", (240, 160)), ("0/1", (120, 160))])
def test_pixels_become_squares(tmp_path: Path, aspect: str, shape: tuple[int, int]):
    clip = film(tmp_path / "c.mp4", f"testsrc=size=160x120:rate=5,setsar={aspect}", "-t", "1")
    assert played(clip)[0].image.shape[:2] == shape


def test_a_setting_says_how_wide_pixels_are_where_the_source_does_not(tmp_path: Path):
    write_images(tmp_path / "images", 1)
    assert played(tmp_path / "images", pixel_aspect=2.0)[0].image.shape == (120, 320, 3)
    clip = write_video(tmp_path / "clip.avi", 2)
    assert played(clip, pixel_aspect=0.5)[0].image.shape == (240, 160, 3)


@pytest.mark.parametrize(
    ("matrix", "quarter"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), 0),
        ((0, 1, 0, -1, 0, 0, 0, 0, 1), 1),  # a quarter clockwise
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), 3),  # upside down
        ((0, -1, 0, 1, 0, 0, 0, 0, 1), 2),
        ((-1, 0, 0, 0, 1, 0, 0, 0, 1), 1),  # mirrored
        ((1, 0, 0, 0, -1, 0, 0, 0, 1), 2),
        ((0, 1, 0, 1, 0, 0, 0, 0, 1), 0),
    ],
)
def test_a_display_matrix_turns_and_flips(matrix: tuple[int, ...], quarter: int):
    image = np.zeros((20, 40, 3), np.uint8)
    image[:10, :20] = 255  # top left
    shown = shown_as(image, np.array(matrix, np.int32) * 65536)
    assert shown.shape == ((40, 20, 3) if matrix[0] == 0 else (20, 40, 3))
    assert corners(shown).index(255) == quarter


@ffmpeg
def test_a_film_of_a_phone_that_was_held_upright_is_shown_as_ffmpeg_shows_it(tmp_path: Path):
    source = "color=black:s=160x120:r=5,drawbox=0:0:80:60:white:fill"
    lying = film(tmp_path / "lying.mp4", source, "-t", "1")
    turned, still = tmp_path / "turned.mp4", tmp_path / "still.png"
    copy = ["-c", "copy", "-metadata:s:v", "rotate=90", str(turned)]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(lying), *copy], check=True)
    if not _turned(turned):
        pytest.skip("this ffmpeg writes no display matrix that way")
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(turned), "-frames:v", "1", str(still)], check=True)
    image = played(turned)[0].image
    assert image.shape == (160, 120, 3)
    assert corners(image) == pytest.approx(corners(cv2.imread(str(still))), abs=3)


def _turned(path: Path) -> bool:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.side_data.get("DISPLAYMATRIX") is not None


@ffmpeg
def test_a_film_of_huge_pictures_is_refused_without_taking_memory_for_them(tmp_path: Path):
    clip = film(tmp_path / "huge.avi", "color=red:s=16000x16000:r=5", "-frames:v", "1", "-c:v", "mjpeg")
    code = (
        "import sys\n"
        "from agent.capture.source import open_source\n"
        "from agent.config.settings import CameraSettings\n"
        "from agent.errors import SourceLost\n"
        "source = open_source(CameraSettings(source=sys.argv[1]), 'f', pace=False)\n"
        "try:\n    source.open(); source.read()\n"
        "except SourceLost as exc:\n    print(exc)\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.split('VmHWM:')[1].split()[0])"  # ru_maxrss would be that of the process that forks
    )
    done = subprocess.run([sys.executable, "-c", code, str(clip)], capture_output=True, text=True, check=True)
    said, peak_kb = done.stdout.splitlines()
    assert "larger than max_pixels" in said
    assert int(peak_kb) < 600_000  # its picture alone has 768 MB


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path):
    small = cv2.imencode(".png", picture(1))[1].tobytes()
    huge = bytearray(small)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height of a PNG
    (tmp_path / "1.png").write_bytes(bytes(huge))
    with pytest.raises(SourceLost, match=r"60000 x 60000 pixels, more than max_pixels = 35_000_000"):
        played(tmp_path)


def test_a_film_whose_pictures_are_all_zero_is_reported(tmp_path: Path):
    writer = cv2.VideoWriter(str(tmp_path / "b.avi"), cv2.VideoWriter.fourcc(*"FFV1"), 10, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with capture_logs() as logs:
        played(tmp_path / "b.avi")
    assert [entry["event"] for entry in logs] == ["video_black"]


def test_jpegs_with_bytes_behind_their_end_are_read(tmp_path: Path):
    for number, tail in enumerate([b"", b"\0" * 200, b"SEFT" * 40, b"\xff\xd8\xff"]):
        data = cv2.imencode(".jpg", picture(number))[1].tobytes()
        (tmp_path / f"{number}.jpg").write_bytes(data + tail)
    assert len(played(tmp_path)) == 4


@pytest.mark.parametrize(
    "name", [b"clip \xff\xfe.avi", b"\xc3\x28.avi", "Küche 😀.avi".encode(), b"-i.avi", b"a:b.avi"]
)
def test_films_of_any_name_play(tmp_path: Path, name: bytes):
    clip = write_video(tmp_path / "clip.avi", 3)
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    clip.rename(named)
    assert len(played(named)) == 3
    assert len(played(f"file:{named}")) == 3


def test_pictures_of_names_that_are_not_utf8_play(tmp_path: Path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    write_images(tmp_path / "images", 2).rename(folder)
    (folder / "0.png").rename(Path(os.fsdecode(os.fsencode(folder) + b"/0\xfe.png")))
    assert len(played(folder)) == 2
    with pytest.raises(SourceLost) as lost:
        played(Path(os.fsdecode(os.fsencode(tmp_path) + b"/none\xff.mp4")))
    str(lost.value).encode()  # what is told can be told


@pytest.mark.parametrize("prefix", ["", "file:", "file://", "file://localhost"])
def test_a_file_may_be_named_in_every_way(tmp_path: Path, prefix: str):
    clip = write_video(tmp_path / "my clip.avi", 3)
    path = str(clip).replace(" ", "%20") if "//" in prefix else str(clip)
    assert len(played(prefix + path)) == 3
    (tmp_path / "link.avi").symlink_to(clip)
    assert len(played(tmp_path / "link.avi")) == 3


def test_a_folder_may_be_named_with_its_kind(tmp_path: Path):
    write_images(tmp_path / "images", 2)
    for prefix in ("", "folder:", "file:", "folder://"):
        assert len(played(f"{prefix}{tmp_path / 'images'}")) == 2


def test_what_is_no_film_is_reported(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("dear diary\n" * 100)
    with pytest.raises(SourceLost, match=r"no pictures|not a video"):
        played(tmp_path / "notes.txt")
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceLost, match="no regular file"):
        played(tmp_path / "pipe.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    with pytest.raises(SourceLost, match="No such file"):
        played(tmp_path / "gone.mp4")


@ffmpeg
def test_a_sound_is_no_film(tmp_path: Path):
    sound = film(tmp_path / "sound.mp4", "sine", "-t", "1")
    with pytest.raises(SourceLost, match=r"holds no pictures \(audio\)"):
        played(sound)


def test_a_playlist_fetches_nothing(tmp_path: Path):
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(SourceLost):
        VideoFile(CameraSettings(source=str(tmp_path / "list.m3u8")), "f", lambda: 0.0, pace=False).open()
