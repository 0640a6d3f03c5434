"""Pictures of an app: when, by which command, and what is said where there is none; strangers' pages in a Chromium."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from support.stranger import stranger
from warmci.base import authority
from warmci.base.settings import Settings
from warmci.recipe.ingress import Route
from warmci.recipe.render import Placement
from warmci.report.console import Console
from warmci.run import screenshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.run.context import Context

HOST = "guest.warmci.localhost"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    mask = os.umask(0o077)
    (tmp_path / "state").mkdir()
    yield Settings(state_dir=tmp_path / "state")
    os.umask(mask)


def a_run(settings: Settings) -> Context:
    """What take() asks of a run."""
    run_dir = settings.state_dir / "run"
    (run_dir / "work").mkdir(parents=True)
    values = {"settings": settings, "screenshots": {}, "realm": None, "run_dir": run_dir, "work_dir": run_dir / "work"}
    return cast("Context", SimpleNamespace(**values, console=Console()))


def take(context: Context, title: str, phase: str, port: int = 20001) -> None:
    placement = Placement("guest", HOST, port, "run", "instance", dnsrr=False)
    screenshot.take(context, placement, Route("app", 8080, "traefik"), title, phase)


@pytest.mark.parametrize(
    ("setting", "title", "phase", "wanted"),
    [
        ("cold", "fresh", "install", True),
        ("cold", "upgrade", "upgrade", True),
        ("cold", "upgrade", "base", False),
        ("cold", "quick", "quick", False),
        ("cold", "advance", "upgrade", False),
        ("always", "quick", "quick", True),
        ("always", "upgrade", "base", False),
        ("never", "fresh", "install", False),
    ],
)
def test_which_runs_have_one(setting: str, title: str, phase: str, wanted: bool) -> None:
    assert screenshot.is_wanted(setting, title, phase) is wanted


def test_the_browser_knows_the_apps_hosts_alone(settings: Settings) -> None:
    hosts = {HOST: f"https://{HOST}:20001/", "keycloak.warmci.localhost": "https://keycloak.warmci.localhost:20002"}
    argv = screenshot.options(settings, hosts, "KEY")
    assert (
        "--host-resolver-rules=MAP guest.warmci.localhost 127.0.0.1:20001, "
        "MAP keycloak.warmci.localhost 127.0.0.1:20002, MAP * ~NOTFOUND"
    ) in argv
    assert "--ignore-certificate-errors-spki-list=KEY" in argv
    assert not [option for option in argv if option in {"--no-sandbox", "--ignore-certificate-errors"}]
    behind = settings.model_copy(update={"ingress_address": "fd00::1"})
    assert (
        "MAP a.warmci.localhost [fd00::1]:443, "
        in screenshot.options(behind, {"a.warmci.localhost": "https://a.warmci.localhost/"}, "")[-1]
    )
    outside = screenshot.options(settings, {"sso.example.org": "https://sso.example.org"}, "")
    assert outside[-1] == "--host-resolver-rules=EXCLUDE sso.example.org, MAP * ~NOTFOUND"
    with pytest.raises(screenshot.NoPictureError, match="no host's name"):
        screenshot.options(settings, {"a, MAP * 127.0.0.1": "http://x.warmci.localhost/"}, "")


@pytest.mark.parametrize(
    ("code", "drawn", "said", "problem"),
    [
        (0, b"\xff\xd8\xff rest", "", ""),
        (0, b"\xff\xd8\xff" + bytes(screenshot.MOST_BYTES), "", "it has more than 300 kB"),
        (0, b"<svg>", "", "Chromium drew nothing; does it trust the certificate?"),
        (137, b"", "Killed", "the page was not drawn within 10 s"),
        (
            133,
            b"",
            "x dbus y\n[1] FATAL: No usable sandbox!\nTrace",
            "Chromium failed (133): [1] FATAL: No usable sandbox!",
        ),
        (125, b"", "mount: denied\nx dbus y\n", "Chromium failed (125): mount: denied"),
    ],
)
def test_what_a_report_can_show(code: int, drawn: bytes, said: str, problem: str) -> None:
    assert screenshot.judged(code, drawn, said) == problem


def test_a_host_without_chromium_says_so_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run = a_run(settings)
    take(run, "fresh", "install")
    take(run, "upgrade", "upgrade")
    why = "no screenshot: this host has no Chromium (Debian's package chromium; or the setting screenshots)"
    assert run.screenshots == {"screenshot-fresh.jpg": why, "screenshot-upgrade.jpg": why}
    assert capsys.readouterr().err.count("no screenshot") == 1


# --- in a real Chromium

_in_chromium = pytest.mark.browser


def draw(settings: Settings, url: str, path: str = "/") -> bytes:
    into = settings.state_dir / f"browser-{time.monotonic_ns()}"
    return screenshot.draw(settings, f"{url}{path}", {HOST: url}, into).read_bytes()


@_in_chromium
def test_a_page_is_drawn_beside_the_result(settings: Settings) -> None:
    with stranger() as server:
        run = a_run(settings)
        take(run, "fresh", "install", server.port)
    assert run.screenshots == {"screenshot-fresh.jpg": f"http://{HOST}:{server.port}/ after install"}
    picture = run.run_dir / "screenshot-fresh.jpg"
    assert picture.read_bytes().startswith(b"\xff\xd8\xff")
    assert picture.stat().st_mode & 0o777 == 0o600


@_in_chromium
def test_https_is_trusted_by_our_own_key_alone(settings: Settings) -> None:
    authority.served(settings)
    other = settings.model_copy(update={"state_dir": settings.state_dir.parent / "other"})
    other.state_dir.mkdir()
    authority.served(other)
    with stranger(settings.tls_dir / "served.pem") as server:
        with pytest.raises(screenshot.NoPictureError, match="does it trust the certificate"):
            draw(other, f"https://{HOST}:{server.port}")
        assert server.asked == []
        draw(settings, f"https://{HOST}:{server.port}")
        assert "/" in server.asked


@_in_chromium
def test_a_page_reaches_its_own_server_alone(settings: Settings) -> None:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    tcp = socket.create_server(("127.0.0.1", 0))
    with stranger() as other, stranger() as server, udp, tcp:
        names = ["127.0.0.1", "localhost", "0", "2130706433", "other.warmci.localhost", "[::ffff:127.0.0.1]"]
        urls = [f"http://{name}:{other.port}/" for name in names]
        path = server.reach_out(urls, udp.getsockname()[1], tcp.getsockname()[1])
        draw(settings, f"http://{HOST}:{server.port}", path)
        assert server.asked.count("/refused") == len(names)
        assert not [asked for asked in server.asked if asked.startswith("/reached")]
        assert other.asked == []
        for nobody in (udp, tcp):
            nobody.settimeout(0.1)
        with pytest.raises(TimeoutError):
            udp.recv(100)
        with pytest.raises(TimeoutError):
            tcp.accept()


@_in_chromium
@pytest.mark.parametrize(
    ("path", "why"), [("/busy", "the page was not drawn within 10 s"), ("/noise", "it has more than 300 kB")]
)
def test_what_cannot_be_shown_is_said_in_time(settings: Settings, path: str, why: str) -> None:
    began = time.monotonic()
    with stranger() as server, pytest.raises(screenshot.NoPictureError, match=why):
        draw(settings, f"http://{HOST}:{server.port}", path)
    assert time.monotonic() - began < screenshot.DEADLINE_S + 3
    assert not [one for one in _commands() if HOST in one]


@_in_chromium
def test_a_page_that_eats_memory_is_ended_and_not_the_host(settings: Settings) -> None:
    with stranger() as server:
        assert draw(settings, f"http://{HOST}:{server.port}", "/eater")  # Chromium's own page of what crashed


def _commands() -> list[str]:
    found: list[Any] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # gone meanwhile
            continue
    return found
