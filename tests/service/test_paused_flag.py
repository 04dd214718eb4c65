"""Cameras that were switched off stay off over a restart."""

from __future__ import annotations

from pathlib import Path

from agent.service.paused_flag import PausedFlag


def test_off_is_remembered_by_the_next_agent_and_on_again_too(tmp_path: Path):
    assert not PausedFlag(tmp_path).on
    PausedFlag(tmp_path).on_enabled(False)
    assert PausedFlag(tmp_path).on
    PausedFlag(tmp_path).on_enabled(True)
    PausedFlag(tmp_path).on_enabled(True)
    assert not PausedFlag(tmp_path).on


def test_a_disk_that_takes_nothing_is_no_reason_to_stop(tmp_path: Path):
    pause = PausedFlag(tmp_path / "away")
    pause.on_enabled(False)
    assert not pause.on
