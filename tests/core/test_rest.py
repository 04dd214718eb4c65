from agent.core.rest import Rest


def looks(rest: Rest, seconds: range, somebody: bool) -> int:
    """Frames looked at when 10 frames a second come for the given seconds."""
    count = 0
    for tenth in range(seconds.start * 10, seconds.stop * 10):
        at = tenth / 10
        if rest.wants(at):
            count += 1
            rest.saw(at, somebody)
    return count


def test_an_awake_camera_is_looked_at_with_every_frame():
    assert looks(Rest(fps=2, after_s=5), range(20), somebody=True) == 200


def test_a_new_camera_is_awake():
    assert looks(Rest(fps=2, after_s=5), range(5), somebody=False) == 50


def test_nobody_in_view_slows_the_looks_down():
    rest = Rest(fps=2, after_s=5)
    looks(rest, range(6), somebody=False)
    assert looks(rest, range(6, 16), somebody=False) == 20


def test_the_first_person_wakes_it_to_full_rate():
    rest = Rest(fps=2, after_s=5)
    looks(rest, range(10), somebody=False)
    assert rest.resting(10.0)
    assert looks(rest, range(10, 11), somebody=True) >= 5
    assert looks(rest, range(11, 12), somebody=True) == 10


def test_a_clip_that_begins_anew_is_looked_at():
    rest = Rest(fps=2, after_s=5)
    looks(rest, range(10), somebody=False)
    assert rest.wants(0.0)
