from pathlib import Path

from agent.config.file_watcher import FileWatcher


def test_a_file_that_nobody_touches_is_not_read_again(tmp_path: Path):
    (tmp_path / "a.toml").write_text("")
    changes = FileWatcher(tmp_path)
    assert not any(changes.changed(float(now)) for now in range(1, 5))


def test_an_edited_file_is_noticed_once_when_it_stands_still(tmp_path: Path):
    rules = tmp_path / "a.toml"
    rules.write_text("")
    changes = FileWatcher(tmp_path)
    rules.write_text("x = 1")
    assert [changes.changed(float(now)) for now in range(1, 5)] == [False, True, False, False]


def test_files_that_come_and_go_are_changes(tmp_path: Path):
    changes = FileWatcher(tmp_path)
    (tmp_path / "new.toml").write_text("")
    assert [changes.changed(1.0), changes.changed(2.0)] == [False, True]
    (tmp_path / "new.toml").unlink()
    looks = {now: changes.changed(float(now)) for now in range(3, 11)}
    assert [now for now, changed in looks.items() if changed] == [8]


def test_a_file_that_is_moved_away_and_back_is_no_change(tmp_path: Path):
    rules, away = tmp_path / "a.toml", tmp_path / "a.toml~"
    rules.write_text("x = 1")
    changes = FileWatcher(tmp_path)
    rules.rename(away)
    assert not any(changes.changed(float(now)) for now in range(1, 4))
    away.rename(rules)
    assert not any(changes.changed(float(now)) for now in range(4, 20))


def test_what_editors_and_other_systems_leave_beside_a_file_is_no_change(tmp_path: Path):
    changes = FileWatcher(tmp_path)
    (tmp_path / ".#hall.toml").symlink_to("somebody@host.1234")
    (tmp_path / "._hall.toml").write_bytes(b"\0\5\x16\7")
    assert not any(changes.changed(float(now)) for now in range(1, 9))


def test_it_looks_once_a_second_at_most(tmp_path: Path):
    changes = FileWatcher(tmp_path)
    assert not changes.changed(1.0)
    (tmp_path / "new.toml").write_text("")
    assert not changes.changed(1.5)
    assert not changes.changed(2.0)
    assert changes.changed(3.0)
