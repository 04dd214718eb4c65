import shutil
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from real_cameras import picture, write_images, write_video
from structlog.testing import capture_logs

from agent.capture.source import FrameSource, open_source
from agent.config.settings import CameraSettings
from agent.core.types import Frame
from agent.errors import EndOfSource, SourceLost


def source_of(path: Path, *, pace: bool = False, **settings: object) -> FrameSource:
    chosen = CameraSettings.model_validate({"source": str(path), **settings})
    return open_source(chosen, "front", pace=pace)


def played(source: FrameSource, most: int = 1000) -> list[Frame]:
    """All frames up to the end, or `most`."""
    source.open()
    frames: list[Frame] = []
    try:
        while len(frames) < most:
            frames.append(source.read())
    except EndOfSource:
        pass
    finally:
        source.close()
    return frames


def greys(frames: list[Frame]) -> list[int]:
    """The darkest value of each picture, by which `picture` numbers it."""
    return [int(frame.image.min()) for frame in frames]


def test_images_play_in_the_order_of_their_numbers(tmp_path):
    frames = played(source_of(write_images(tmp_path, 12)))
    assert greys(frames) == greys([Frame("", 0, 0, picture(number)) for number in range(12)])


def test_images_play_at_fifteen_a_second_unless_the_settings_say_otherwise(tmp_path):
    write_images(tmp_path, 4)
    assert [frame.at for frame in played(source_of(tmp_path))] == pytest.approx([0, 1 / 15, 2 / 15, 3 / 15])
    assert [frame.at for frame in played(source_of(tmp_path, fps=10))] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_single_image_is_a_clip_of_one_frame(tmp_path):
    write_images(tmp_path, 3)
    assert len(played(source_of(tmp_path / "1.png"))) == 1


def test_a_loop_starts_again_and_time_goes_on(tmp_path):
    write_images(tmp_path, 2)
    frames = played(source_of(tmp_path, fps=10, loop=True), most=5)
    assert [frame.at for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert greys(frames)[:2] == greys(frames)[2:4]


def test_damaged_images_among_good_ones_are_left_out_and_keep_their_place_in_time(tmp_path):
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), picture(number))
    (tmp_path / "1.jpg").write_bytes(b"not an image at all")
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])  # OpenCV alone would pad it with grey
    source = source_of(tmp_path, fps=10)
    with capture_logs() as logs:
        frames = played(source)
    assert [frame.at for frame in frames] == pytest.approx([0, 0.2, 0.4])
    assert source.skipped == 2
    assert [Path(entry["image"]).name for entry in logs if entry["event"] == "image_skipped"] == [
        "1.jpg",
        "3.jpg",
    ]


def test_a_loop_through_a_folder_that_vanishes_ends_after_one_round(tmp_path):
    source = source_of(write_images(tmp_path / "shelf", 3), loop=True)
    source.open()
    for _ in range(4):
        source.read()
    (tmp_path / "shelf").rename(tmp_path / "gone")
    with pytest.raises(SourceLost, match="none of its 3 images"):
        source.read()


def test_images_of_another_size_are_passed_on_as_they_are(tmp_path):
    write_images(tmp_path, 2)
    cv2.imwrite(str(tmp_path / "2.png"), picture(2, 64, 48))
    assert [frame.image.shape for frame in played(source_of(tmp_path))] == [(120, 160, 3)] * 2 + [(48, 64, 3)]


@pytest.mark.parametrize(
    ("rotate", "mirror", "corner"),
    [
        (0, False, (0, 0)),
        (90, False, (0, 1)),
        (180, False, (1, 1)),
        (270, False, (1, 0)),
        (0, True, (0, 1)),
        (90, True, (0, 0)),
    ],
)
def test_rotate_turns_clockwise_and_mirror_swaps_left_and_right(tmp_path, rotate, mirror, corner):
    image = np.zeros((20, 40, 3), np.uint8)
    image[:10, :20] = 255  # top left
    cv2.imwrite(str(tmp_path / "0.png"), image)
    seen = played(source_of(tmp_path, rotate=rotate, mirror=mirror))[0].image
    row, column = corner
    height, width = seen.shape[0] // 2, seen.shape[1] // 2
    assert (seen[row * height : (row + 1) * height, column * width : (column + 1) * width] == 255).all()
    assert seen.mean() == pytest.approx(255 / 4)


def test_a_video_plays_all_its_frames_at_its_own_times(tmp_path):
    frames = played(source_of(write_video(tmp_path / "clip.avi", 30, fps=20)))
    assert [frame.at for frame in frames] == pytest.approx([number / 20 for number in range(30)], abs=1e-3)


@pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="no ffmpeg to write uneven time stamps: apt install ffmpeg"
)
def test_a_video_with_uneven_times_keeps_them(tmp_path):
    clip = write_video(tmp_path / "even.avi", 10, fps=10)
    uneven = tmp_path / "uneven.mkv"
    stamps = "setpts=(N+gte(N\\,5)*7)/10/TB"
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-vf", stamps, "-fps_mode", "vfr", str(uneven)]
    subprocess.run(command, check=True)
    ask = ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", str(uneven)]
    told = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()
    expected = sorted(float(stamp) for stamp in told)
    assert max(np.diff(expected)) > 0.5
    with capture_logs() as logs:
        assert [frame.at for frame in played(source_of(uneven))] == pytest.approx(expected, abs=2e-3)
    assert logs == []  # no frame is missing, though frames x rate is less than the file's length


def test_a_looping_video_starts_again_and_time_goes_on(tmp_path):
    source = source_of(write_video(tmp_path / "clip.avi", 4, fps=20), loop=True)
    frames = played(source, most=10)
    assert [frame.at for frame in frames] == pytest.approx([number / 20 for number in range(10)], abs=1e-3)
    assert greys(frames)[0] == pytest.approx(greys(frames)[4], abs=3)


def test_a_video_that_was_cut_off_plays_what_is_there_and_says_what_is_missing(tmp_path):
    clip = write_video(tmp_path / "clip.avi", 60)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with capture_logs() as logs:
        frames = played(source_of(clip))
    assert 15 < len(frames) < 45
    [warning] = [entry for entry in logs if entry["event"] == "video_cut_off"]
    assert (warning["frames_read"], warning["frames_expected"]) == (len(frames), 60)


def test_a_whole_video_ends_without_a_warning(tmp_path):
    with capture_logs() as logs:
        played(source_of(write_video(tmp_path / "clip.avi", 20)))
    assert logs == []


def cut_mp4(tmp_path: Path) -> Path:
    clip = write_video(tmp_path / "clip.mp4", 40, fourcc="mp4v")
    clip.write_bytes(clip.read_bytes()[:2000])  # the index of an MP4 is at its end
    return clip


def empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def damaged_folder(tmp_path: Path) -> Path:
    (tmp_path / "1.jpg").write_bytes(b"damaged")
    return tmp_path


def empty_file(tmp_path: Path) -> Path:
    (tmp_path / "empty.mp4").touch()
    return tmp_path / "empty.mp4"


def text_file(tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_text("no video")
    return tmp_path / "clip.mp4"


@pytest.mark.parametrize(
    ("make", "seen"),
    [
        (lambda tmp_path: tmp_path / "none.mp4", "No such file or directory; name a video file, or a folder"),
        (empty_file, r"is empty \(0 bytes\)"),
        (text_file, r"not a video that can be read \(8 bytes\)"),
        (cut_mp4, r"not a video that can be read .* cut off may lack its index"),
        (empty_folder, "holds no image; expected files like 0001.jpg"),
        (damaged_folder, "none of its 1 images can be read as one"),
    ],
)
def test_what_cannot_be_played_is_reported_by_name_with_what_to_do(tmp_path, make, seen):
    path = make(tmp_path)
    source = source_of(path)
    with pytest.raises(SourceLost, match=seen) as lost:
        source.open()
    assert str(lost.value).startswith(str(path))


def test_a_paced_file_waits_for_its_own_times(tmp_path):
    write_images(tmp_path, 4)
    source = source_of(tmp_path, pace=True, fps=100)
    at = [frame.at for frame in played(source)]
    assert np.diff(at) == pytest.approx([0.01] * 3)  # whatever the machine's load


def test_a_paced_wait_can_be_interrupted(tmp_path):
    write_images(tmp_path, 2)
    source = source_of(tmp_path, pace=True, fps=0.001)  # the second image is due in 1000 s
    source.open()
    source.read()
    threading.Timer(0.05, source.interrupt).start()
    assert source.read().seq == 1
