"""Debian's Chromium, driven over its debugging pipe: cookies, keys, emulation, pictures; no other program is needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

PROGRAM = "/usr/bin/chromium"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_KEYS = {"Enter": 13, "Tab": 9}


def available() -> str:
    """Return the program, or skip loudly."""
    if not Path(PROGRAM).exists():
        pytest.skip(f"SKIPPED LOUDLY: {PROGRAM} is missing, no page was opened in a browser")
    return PROGRAM


class Chromium:
    """One browser with one tab. `problems` holds what its console reported: errors, breaches of the content policy."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.requested: list[str] = []
        self._folder = tempfile.mkdtemp(prefix="gg-chromium-")
        command_in, self._out = os.pipe()
        self._in, answers_out = os.pipe()
        # The browser reads commands on descriptor 3 and answers on 4.
        script = f'exec 3<&{command_in} 4>&{answers_out}; exec "$@"'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", script, "-", available(), *_FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(command_in, answers_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(command_in)
        os.close(answers_out)
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._events: deque[dict[str, Any]] = deque()
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._session = None
        try:
            self._send("Browser.close")
        except (EOFError, OSError):
            self._process.kill()
        self._process.wait(30)
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._folder, ignore_errors=True)

    def open(self, url: str) -> None:
        """Go there and wait until the page has loaded."""
        self._events.clear()
        self._send("Page.navigate", url=url)
        self.wait_loaded()

    def wait_loaded(self) -> None:
        """Wait for the next load event, then until the fonts and the script are in."""
        self._wait_event("Page.loadEventFired")
        self.run("document.fonts.ready.then(() => true)")

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, a promise too; its plain value."""
        got = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release one key."""
        code = _KEYS.get(key, ord(key[0].upper()))
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        base = {"key": key, "windowsVirtualKeyCode": code}
        self._send("Input.dispatchKeyEvent", type="keyDown", text=text, **base)
        self._send("Input.dispatchKeyEvent", type="keyUp", **base)

    def look(self, *, width: int, dark: bool = False, media: str = "") -> None:
        """Set the width of the window in CSS pixels, the theme and the medium."""
        self._send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", media=media, features=[theme])

    def picture(self, path: Path) -> None:
        """Save the whole page as PNG."""
        got = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(got["data"]))

    def _send(self, method: str, /, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            got = self._next()
            if got.get("id") == self._number:
                assert "error" not in got, got
                return got["result"]
            self._note(got)

    def _wait_event(self, method: str) -> None:
        while True:
            while self._events:
                if self._events.popleft()["method"] == method:
                    return
            self._note(self._next())

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.problems.append(parameters["entry"]["text"])
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                self.problems.append(str(parameters["args"]))
            case "Runtime.exceptionThrown":
                self.problems.append(str(parameters["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])
        if "method" in event:
            self._events.append(event)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._in, 1 << 20)
            if not block:
                raise EOFError("the browser has gone")
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))
