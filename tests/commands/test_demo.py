import pytest

from agent.commands.demo import _summary
from agent.demo_session import Shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("v4l2:/dev/video-none", "v4l2:/dev/video-none: no such device"),
        ("nowhere.mp4", "nowhere.mp4: No such file"),
        ("rtsp://ann:s3cretWord@127.0.0.1:9/1", "rtsp://ann:***@127.0.0.1:9/1: 127.0.0.1 port 9: Connection"),
        ("0", 'write "v4l2:/dev/video0" for camera 0'),
        ("udp://10.0.0.5", "no such kind of source"),
    ],
)
def test_a_source_that_shows_nothing_is_reported_and_the_demo_ends(run, source: str, said: str):
    done = run("demo", "--source", source)
    assert done.returncode == 3
    assert said in done.stderr
    assert "s3cretWord" not in done.stdout + done.stderr


def test_a_machine_that_is_too_slow_is_told_what_would_help():
    said = _summary(Shown(started=0, frames=217, dropped=180))
    assert said.startswith("Of 217 pictures 37 were looked at.")
    assert "width = 640" in said


def test_a_machine_that_is_fast_enough_is_told_no_more():
    assert _summary(Shown(started=10, frames=217, dropped=3)) == "Of 217 pictures 214 were looked at."
