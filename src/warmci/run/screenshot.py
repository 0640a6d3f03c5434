"""What a visitor of the app sees: a picture by the system's Chromium, for the report and never for the verdict.

The page is a stranger's. The browser runs as nobody, with its own sandbox, in namespaces where all that it starts ends
with it; it writes to a file system in memory alone, and knows no host but the app's and that of the run's Keycloak.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from warmci.base import authority, chromium, http, process
from warmci.base.errors import InfraError, UsageError
from warmci.base.text import line

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.recipe.ingress import Route
    from warmci.recipe.render import Placement
    from warmci.run.context import Context

DEADLINE_S = 10.0
_SLOW_S = 5.0
"""For what stands around the browser."""
MOST_BYTES = 300_000
_LIMITS = process.Limits(cpu_s=30, memory=2**30, output=32 * 2**20)
_NOBODY = "65534"
_COLD = ("fresh", "upgrade")
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_.-]+")
_JPEG = b"\xff\xd8\xff"
_FILE = "/tmp/page.jpg"  # noqa: S108  (in a file system of the browser's own)
_AS_NOBODY = f"setpriv --reuid {_NOBODY} --regid {_NOBODY} --clear-groups --no-new-privs --"
_SCRIPT = f"""
mount -t tmpfs -o size=64m,mode=1777,nosuid,nodev,noexec none /tmp || exit 125
{_AS_NOBODY} timeout -s KILL {DEADLINE_S:.0f} "$@" >&2 || exit
[ -e {_FILE} ] || exit 0
exec {_AS_NOBODY} head -c {MOST_BYTES + 1} {_FILE}
"""
_NAMESPACES = ["unshare", "--mount", "--pid", "--ipc", "--kill-child", "--mount-proc", "--", "sh", "-c", _SCRIPT, "sh"]
_OPTIONS = (
    "--headless",
    "--incognito",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-sync",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--user-data-dir=/tmp/profile",
    "--window-size=1024,720",
    "--virtual-time-budget=3000",
    f"--screenshot={_FILE}",
)


class NoPictureError(Exception):
    """Why there is none, in words."""


def take(context: Context, placement: Placement, route: Route | None, title: str, phase: str) -> None:
    """Keep a picture of the app's landing page in the run's directory, or say why there is none; raises for neither.

    title: of the app in the run, as its stages have it.
    """
    if route is None or not is_wanted(context.settings.screenshots, title, phase):
        return
    url = f"{placement.url_at(route.host)}/"
    hosts = {name: url for name in (placement.domain, f"*.{placement.domain}", route.host) if name}
    if context.realm is not None:
        hosts[context.realm.provider.domain] = context.realm.provider.url
    name = f"screenshot-{title.replace(' ', '-')}.jpg"
    try:
        taken = draw(context.settings, url, hosts, context.work_dir / f"{placement.stack}.{phase}.browser")
        taken.replace(context.run_dir / name)
        context.screenshots[name] = f"{url} after {phase}"
    except (NoPictureError, InfraError, UsageError, OSError) as error:
        why = f"no screenshot: {line(context.console.redact(str(error)))}"
        if why not in context.screenshots.values():  # both halves lack the same browser
            context.console.say(f"  {why}", style="dim")
        context.screenshots[name] = why


def is_wanted(setting: str, title: str, phase: str) -> bool:
    return setting != "never" and phase != "base" and (setting == "always" or title in _COLD)


def draw(settings: Settings, url: str, hosts: dict[str, str], into: Path) -> Path:
    """The file below `into`, of that page at these hosts. Raises NoPictureError where a report can show none."""
    if not (program := chromium.find()):
        raise NoPictureError(f"this host has no Chromium ({chromium.WHERE})")
    argv = [*_NAMESPACES, program, *options(settings, hosts, known_key(settings, url)), url]
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108
    into.mkdir(mode=0o700)
    code = process.run_limited(argv, limits=_LIMITS, timeout_s=DEADLINE_S + _SLOW_S, cwd=Path("/"), env=env, into=into)
    said = (into / "stderr").read_bytes()[-2000:].decode(errors="replace")
    if problem := judged(code, (into / "stdout").read_bytes(), said):
        raise NoPictureError(problem)
    return into / "stdout"


def judged(code: int, drawn: bytes, said: str) -> str:
    """Why that is no picture to show; empty when it is one."""
    if code in {137, -9}:
        return f"the page was not drawn within {DEADLINE_S:.0f} s"
    if code != 0:
        lines = [text for text in said.splitlines() if "dbus" not in text] or ["it said nothing"]
        return f"Chromium failed ({code}): {next((text for text in lines if 'FATAL' in text), lines[-1])}"
    if len(drawn) > MOST_BYTES:
        return f"it has more than {MOST_BYTES // 1000} kB"
    return "" if drawn.startswith(_JPEG) else "Chromium drew nothing; does it trust the certificate?"


def options(settings: Settings, hosts: dict[str, str], key: str) -> list[str]:
    """hosts: name to the URL that is asked under it; every other name, and every address, does not exist."""
    rules = [_rule(settings, host, url) for host, url in hosts.items()]
    trusted = [f"--ignore-certificate-errors-spki-list={key}"] if key else []
    return [*_OPTIONS, *trusted, f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND'])}"]


def _rule(settings: Settings, host: str, url: str) -> str:
    if not _NAME.fullmatch(host):  # a stranger's label says it, and it must be no rule of its own
        raise NoPictureError(f"{host[:100]} is no host's name")
    asked = urlsplit(url)
    if not http.is_mapped(asked.hostname or "", settings.base_domain):
        return f"EXCLUDE {host}"  # a Keycloak that others run, where its name says
    address = settings.ingress_address
    port = asked.port or (443 if asked.scheme == "https" else 80)
    return f"MAP {host} {f'[{address}]' if ':' in address else address}:{port}"


def known_key(settings: Settings, url: str) -> str:
    """SHA-256 of the key that our names are served with, which Chromium is to trust; empty where it is not ours."""
    is_ours = settings.tls_certificate is not None or bool(authority.authority(settings))
    if not (is_ours and url.startswith("https:")):
        return ""
    certificate = authority.served(settings).certificate
    said = process.run(["openssl", "x509", "-noout", "-pubkey"], stdin=certificate, timeout_s=_SLOW_S).stdout
    body = "".join(text for text in said.splitlines() if not text.startswith("-----"))
    return base64.b64encode(hashlib.sha256(base64.b64decode(body)).digest()).decode()
