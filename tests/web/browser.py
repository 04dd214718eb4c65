"""A real Chromium, spoken to in its own protocol (Chrome DevTools Protocol) over one WebSocket."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PATIENCE_S = float(os.environ.get("GESTURE_AGENT_PATIENCE_S", "60"))
POLL_S = 0.05
GONE = (
    "Inspected target navigated or closed",
    "Execution context was destroyed.",
    "Cannot find context with specified id",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Where Chromium is, None where it is not installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class PageGoneError(Exception):
    """The page that was asked gave way to another before it answered."""


class Tab:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.problems: list[str] = []  # what the page complained of: errors, refused loads, blocked scripts
        self.requests: list[str] = []  # addresses that it asked for, once it is `watched`
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.send(method, params, self._session)

    def heard(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method in {"Network.requestWillBeSent", "Network.webSocketCreated"}:
            self.requests.append(params["url"] if "url" in params else params["request"]["url"])

    def watched(self) -> None:
        """Note every request; costs the browser a message for each frame of its streams."""
        self.send("Network.enable")

    def size(self, width: int, height: int, scale: float = 1, *, mobile: bool = False) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=mobile,
        )

    def media(self, **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=named)

    def go(self, url: str) -> None:
        self.send("Page.navigate", url=url)
        self.until(
            "location.href !== 'about:blank' && document.readyState === 'complete'", "the page to load"
        )

    def run(self, script: str) -> Any:
        """The value of an expression; promises are awaited. Raises `AssertionError` where it throws."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str, what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until an expression is true in the page, or in the page that it gives way to."""
        ends = time.monotonic() + patience_s
        while True:
            left_s = max(0.0, ends - time.monotonic())
            try:
                found = self._watch(script, left_s)
                break
            except PageGoneError:
                if not left_s:
                    raise
        assert found, f"waited {patience_s:g} s for {what}; the page says {self.problems}"

    def _watch(self, script: str, patience_s: float) -> bool:
        found: bool = self.run(
            f"""new Promise((done) => {{
              const ends = performance.now() + {patience_s * 1000};
              const look = () => {{
                const found = {script};
                if (found || performance.now() > ends) done(Boolean(found));
                else setTimeout(look, 20);
              }};
              look();
            }})"""
        )
        return found

    def press(self, key: str) -> None:
        """One key, as a person presses it."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key], "text": text}
        self.send("Input.dispatchKeyEvent", type="keyDown", **event)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of what is in the window, or of the whole page."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def accessibility(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader finds, in its order."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored") and "role" in node
        ]


class Browser:
    """One process."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._tabs: dict[str, Tab] = {}
        self._number = 0

    def tab(self) -> Tab:
        """A new page with cookies of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        attached = self.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        session = attached["sessionId"]
        tab = self._tabs[session] = Tab.__new__(Tab)
        tab.__init__(self, session)  # type: ignore[misc] # it hears events from its first command on
        return tab

    def send(self, method: str, params: Mapping[str, Any] | None = None, session: str = "") -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": dict(params or {})}
        if session:
            message["sessionId"] = session
        self._connection.send(json.dumps(message))
        while True:
            found: dict[str, Any] = json.loads(self._connection.recv(timeout=2 * PATIENCE_S))
            if found.get("id") == self._number:
                error = found.get("error", {})
                if error.get("message") in GONE:
                    raise PageGoneError(method, error)
                assert not error, (method, error)
                return dict(found["result"])
            if "method" in found and (tab := self._tabs.get(found.get("sessionId", ""))):
                tab.heard(found["method"], found["params"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless, with an empty profile, and gone afterwards."""
    path = program()
    assert path is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                path,
                "--headless=new",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--lang=en-GB",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(
                _address(Path(profile), process), max_size=None, max_queue=None, ping_interval=None
            ) as connection:
                browser = Browser(connection)
                yield browser
                with suppress(Exception):
                    browser.send("Browser.close")
        finally:
            process.kill()
            process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    port_file = profile / "DevToolsActivePort"
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        assert process.poll() is None, "chromium ended at once"
        lines = port_file.read_text().split() if port_file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(POLL_S)
    raise AssertionError("chromium did not open its port")
