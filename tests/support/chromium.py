"""The system's Chromium, driven by its DevTools protocol over two pipes (chromedevtools.github.io/devtools-protocol).

No driver is needed for that, and none that is bound to a browser of its own.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AS_3_AND_4 = """
import fcntl, os, sys
for pipe, number in [(fcntl.fcntl(int(said), fcntl.F_DUPFD, 10), at) for said, at in zip(sys.argv[1:3], (3, 4))]:
    os.dup2(pipe, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Where the browser wants the two pipes."""
_KEYS = {"Tab": 9}


class Chromium:
    """One browser with one page."""

    def __init__(self, to: int, said: int) -> None:
        self._to, self._said = os.fdopen(to, "wb", buffering=0), os.fdopen(said, "rb")
        self._rest, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []
        """What the page violated or failed to load."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self._ask(f"{domain}.enable")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        asked: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        self._to.write(json.dumps(asked).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == asked["id"]:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._said.fileno(), 65_536)
            assert piece, "the browser is gone"
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        told = json.loads(message)
        if told.get("method") == "Log.entryAdded":
            self.complaints.append(told["params"]["entry"]["text"])
        return dict(told)

    def show(self, page: Path, width: int, scheme: str) -> None:
        """Load a file at this width, `light` or `dark`."""
        facts = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **facts)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._ask("Page.navigate", url=page.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def tell(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        told = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def press(self, key: str) -> None:
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **facts)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **facts)

    def picture(self) -> bytes:
        """The whole page, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def close(self) -> None:
        self._session = ""
        with suppress(AssertionError, OSError):
            self._ask("Browser.close")
        self._to.close()
        self._said.close()


@contextmanager
def browser(profile: Path) -> Iterator[Chromium]:
    program = shutil.which("chromium")
    assert program is not None, "scripts/install-tools browser"
    their_in, to = os.pipe()
    said, their_out = os.pipe()
    # As root it has no sandbox; it shows pages of ours alone.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
    options += ["--remote-debugging-pipe", f"--user-data-dir={profile}"]
    with (
        (profile / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", _AS_3_AND_4, str(their_in), str(their_out), program, *options],
            pass_fds=(their_in, their_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as running,
    ):
        os.close(their_in)
        os.close(their_out)
        try:
            chromium = Chromium(to, said)
            yield chromium
            chromium.close()
            running.wait(20)
        finally:
            running.kill()
