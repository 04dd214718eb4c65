"""The kiosk's client in Node: what comes late is not acted upon, whatever the clocks say."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest


def test_the_kiosks_client_drops_what_comes_late_and_keeps_states():
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = Path(__file__).with_name("client_late.mjs")
    done = subprocess.run([node, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["in time", "offline", "in time again"]
