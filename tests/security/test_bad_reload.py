"""What somebody breaks in the rule files while the agent runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from brokers import Mosquitto, Subscriber
from daemons import configured, daemon
from support.waiting import until

RULE = """
[[rule]]
id = "lamp"
when = { gesture = "stop" }
publish = { topic = "home/lamp", payload = "ON" }
"""


def asking(subscriber: Subscriber) -> Callable[..., dict[str, Any]]:
    """A function that sends a request and waits for its answer."""

    def ask(name: str, **data: Any) -> dict[str, Any]:
        before = len(subscriber.on(f"response/{name}"))
        subscriber.publish(f"gesture/reloading/bridge/request/{name}", json.dumps(data))
        until(lambda: len(subscriber.on(f"response/{name}")) > before, f"the answer to {name}")
        found: dict[str, Any] = json.loads(subscriber.on(f"response/{name}")[-1].payload)
        return found

    return ask


def test_broken_and_world_writable_rules_are_refused_and_the_old_ones_run_on(tmp_path: Path, cache_dir: Path):
    broker = Mosquitto(tmp_path).start()
    subscriber = Subscriber(broker.port)
    cv2.imwrite(str(tmp_path / "empty.png"), np.full((480, 640, 3), 90, np.uint8))
    camera = '[camera.front]\nsource = "empty.png"\nloop = true'
    config = configured(tmp_path, "reloading", broker.url, cache_dir, camera)
    rules = tmp_path / "rules/lamp.toml"
    rules.write_text(RULE)
    try:
        with daemon(config):
            until(lambda: subscriber.on("reloading/camera/front/state"), "the agent runs", 60)
            ask = asking(subscriber)
            rules.write_text(RULE.replace("gesture =", "gestrue ="))
            answer = ask("reload")
            assert answer["status"] == "error"
            assert "did you mean" in answer["error"]
            rules.write_text(RULE)
            rules.chmod(0o666)
            assert "anyone may write here" in ask("reload")["error"]
            assert ask("test_rule", rule="lamp")["status"] == "ok"
            until(lambda: [h.payload for h in subscriber.on("home/lamp")] == ["ON"], "the old rule")
            rules.chmod(0o644)
            assert ask("reload")["status"] == "ok"
            rules.write_text(RULE.replace("gesture =", "gestrue ="))  # nobody asks: the change is noticed

            def refused() -> str:
                health = json.loads(subscriber.on("bridge/health")[-1].payload)["rules"]
                assert health["count"] == 1
                return str(health["refused"] or "")

            until(lambda: "did you mean" in refused(), "health says so", 60)
            rules.write_text(RULE)
            until(lambda: not refused(), "and that it is mended", 60)
    finally:
        subscriber.close()
        broker.stop()
