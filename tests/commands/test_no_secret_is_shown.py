"""What people paste into a bug report: no command shows the path of a webhook, which may be its secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Run

from agent.config.rules.files import read_rules
from agent.config.settings import DebounceSettings, OutboxSettings
from agent.core.types import LABELS
from agent.delivery.clocks import Clocks
from agent.delivery.outbox.outbox import Outbox, Row
from agent.errors import ConfigError

HOOK = "http://homeassistant.local:8123/api/webhook/ZQx8Kq7"
RULES = f"""
[[rule]]
id = "lamp"
when = {{ gesture = "thumbs_up" }}
[rule.webhook]
url = "{HOOK}"
json = {{ token = "ZQ12345", state = "on" }}
headers = {{ Authorization = "ZQ678" }}

[[case]]
title = "other paths"
right = "TTTTTT...."
expect = [{{ at = "0.3s", url = "{HOOK}-2" }}]
"""


@pytest.fixture
def rules(home: Path) -> Path:
    (home / "rules").mkdir()
    path = home / "rules" / "hook.toml"
    path.write_text(RULES)
    return path


@pytest.mark.parametrize(
    "command", [("list",), ("list", "--json"), ("test",), ("test", "--json")], ids=" ".join
)
def test_rules_are_shown_without_the_paths_of_webhooks(run: Run, rules: Path, command: tuple[str, ...]):
    done = run("rules", *command)
    assert "http://homeassistant.local:8123/..." in done.stdout + done.stderr
    assert "ZQ" not in done.stdout + done.stderr


def test_a_case_that_expects_another_path_says_that_it_is_the_path(run: Run, rules: Path):
    assert "another path than the case expects" in run("rules", "test").stdout


@pytest.mark.parametrize(
    "webhook",
    [
        f'{{ url = "{HOOK.replace("http:", "htp:")}" }}',
        f'{{ url = "{HOOK.removeprefix("http://")}" }}',
        f'{{ url = "{HOOK.replace(":8123", ":99999")}" }}',
        f'{{ url = "{HOOK.replace("homeassistant.local:8123", "")}" }}',
        f'{{ url = "{HOOK.replace("homeassistant", "[home")}" }}',
        f'{{ url = "{HOOK}\\n" }}',
        f'{{ url = "{HOOK}/{{nofield}}" }}',
        f"{{ url = {HOOK} }}",
        "{ url = ZQx8Kq7 }",
        "{ headers = { Authorization = ZQx8Kq7 } }",
        f'{{ url = "{HOOK}", method = "PUT" }}',
        f'{{ url = ["{HOOK}"] }}',
        f'{{ uri = "{HOOK}" }}',
        f'"{HOOK}"',
        f'["{HOOK}"]',
        f'{{ url = "{HOOK}", headers = "Authorization: ZQ12345" }}',
        f'{{ url = "{HOOK}", headers = {{ Authorization = ["Bearer ZQ12345"] }} }}',
        f'{{ url = "{HOOK}", headers = {{ Authorization = "Bearer ZQ12345\\n" }} }}',
        f'{{ url = "{HOOK}", json = {{ token = "ZQ" }}, text = "token=ZQ12345" }}',
    ],
)
def test_a_mistake_in_a_webhook_is_told_without_its_path(rules: Path, webhook: str):
    rules.write_text(f'[[rule]]\nid = "lamp"\nwhen = {{ gesture = "fist" }}\nwebhook = {webhook}\n')
    with pytest.raises(ConfigError) as told:
        read_rules(rules.parent, LABELS, DebounceSettings())
    assert "hook.toml:" in str(told.value)
    assert "ZQ" not in str(told.value)


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["table", "json"])
def test_waiting_webhooks_are_listed_without_their_paths(run: Run, home: Path, as_json: tuple[str, ...]):
    clocks = Clocks()
    state = home / "state"
    state.mkdir()
    box = Outbox(state, OutboxSettings(), clocks)
    box.open()
    headers = (("Authorization", "ZQ678"),)
    box.add([Row("webhook", HOOK, b'{"token": "ZQ12345"}', clocks.deadline(600), "1", options=headers)])
    box.close()
    done = run("outbox", "list", *as_json, GESTURE_AGENT__AGENT__STATE_DIR=str(state))
    assert "http://homeassistant" in done.stdout
    assert "ZQ" not in done.stdout + done.stderr
