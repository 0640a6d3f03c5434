"""Images of the demo's recipes: pulled where the engine reaches a registry, otherwise built from packages.

Built ones come from Debian's packages, Maven Central (Keycloak), the Go module proxy (Miniflux, Traefik) and the Python
package index (Docs). They answer to the same environment variables and paths as the official ones, under names of their
own: a look-alike must not shadow.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import process
from warmci.base.errors import InfraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from warmci.swarm.engine import Engine

PREFIX = "warmci-demo"
_SCRIPTS = Path(__file__).with_name("data") / "images"
_BUILD_TIMEOUT_S = 1800.0
_INSTALL_TIMEOUT_S = 900.0
_AT_ONCE = 2
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Each tool that a build calls, and the Debian package that has it.
_TOOLS = {
    "postgres": {"mmdebstrap": "mmdebstrap"},
    "busybox": {"mmdebstrap": "mmdebstrap"},
    "keycloak": {"mmdebstrap": "mmdebstrap", "mvn": "maven", "java": "openjdk-17-jre-headless"},
    "miniflux": {"mmdebstrap": "mmdebstrap", "go": "golang-go"},
    "lasuite-docs": {"mmdebstrap": "mmdebstrap", "pip3": "python3-pip"},
    "nginx": {"mmdebstrap": "mmdebstrap"},
    "redis": {"mmdebstrap": "mmdebstrap"},
    "traefik": {"go": "golang-go"},
}
# How this host reaches the outside, for the tools that fetch.
_FETCHING = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "GOPROXY",
    "GOSUMDB",
    "GOFLAGS",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
)
_JAVA = ("ENV JAVA_HOME=/usr/lib/jvm/java", "ENV LANG=C.UTF-8")
_CHANGES: dict[str, tuple[str, ...]] = {
    "postgres": (
        f"ENV PATH=/usr/lib/postgresql/current/bin:{_PATH}",
        "ENV PGDATA=/var/lib/postgresql/data",
        "ENV LANG=C.UTF-8",
        'ENTRYPOINT ["docker-entrypoint.sh"]',
        'CMD ["postgres"]',
    ),
    "miniflux": (f"ENV PATH={_PATH}", "USER 65534", 'CMD ["/usr/bin/miniflux"]'),
    "busybox": (f"ENV PATH={_PATH}", 'CMD ["sh"]'),
    "keycloak": (f"ENV PATH={_PATH}", *_JAVA, "USER 1000", 'ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]'),
    "lasuite-docs": (
        f"ENV PATH={_PATH}",
        "ENV DJANGO_SETTINGS_MODULE=impress.settings",
        "ENV PYTHONUNBUFFERED=1",
        "WORKDIR /app",
        "USER 1001",
        'CMD ["python", "-m", "gunicorn", "impress.wsgi", "--bind", "0.0.0.0:8000"]',
    ),
    "nginx": (f"ENV PATH={_PATH}", 'CMD ["nginx", "-g", "daemon off;"]'),
    "redis": (f"ENV PATH={_PATH}", "WORKDIR /data", "USER 999", 'CMD ["redis-server", "--protected-mode", "no"]'),
    "traefik": (f"ENV PATH={_PATH}", 'ENTRYPOINT ["traefik"]'),
}


@dataclass(frozen=True)
class Image:
    name: str
    version: str
    official: str
    """What a registry calls it; empty: it is WarmCI's own, and no registry has it."""

    @property
    def tag(self) -> str:
        return f"{PREFIX}/{self.name}:{self.version}"

    @property
    def changes(self) -> tuple[str, ...]:
        """Dockerfile lines for `docker import`."""
        return _CHANGES[self.name]

    def tar(self, cache_dir: Path) -> Path:
        """Its file in the cache; another one when the build changes."""
        digest = hashlib.sha256()
        shared = ["common.sh", "small.sh", *(["go.sh"] if "go" in _TOOLS[self.name] else [])]
        for path in (*sorted(_SCRIPTS.glob(f"{self.name}.*")), *(_SCRIPTS / name for name in shared)):
            digest.update(path.read_bytes())
        for path in sorted((_SCRIPTS / self.name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(_SCRIPTS)}\0".encode() + path.read_bytes())
        return cache_dir / f"{self.name}-{self.version}-{digest.hexdigest()[:12]}.tar"


# In the order of building: the longest first.
IMAGES: dict[str, Image] = {
    image.tag: image
    for image in (
        Image("traefik", "3.6.1", "traefik:3.6.1"),
        Image("keycloak", "26.7.3", "keycloak/keycloak:26.7.3"),
        Image("miniflux", "2.2.8", "miniflux/miniflux:2.2.8"),
        Image("postgres", "15", "postgres:15"),
        Image("miniflux", "2.2.13", "miniflux/miniflux:2.2.13"),
        Image("miniflux", "2.2.14", "miniflux/miniflux:2.2.14"),
        Image("busybox", "1.35", "busybox:1.35"),
        *(Image("lasuite-docs", version, "") for version in ("1.0.0", "1.1.0", "1.2.0", "1.2.1")),
        Image("nginx", "1.22", "nginx:1.22"),
        Image("redis", "7.0", "redis:7.0"),
    )
}
STORY = tuple(tag for tag, image in IMAGES.items() if image.name in {"keycloak", "miniflux", "postgres", "busybox"})
"""What the demo's story runs."""

TRAEFIK = next(tag for tag, image in IMAGES.items() if image.name == "traefik")
"""Takes five minutes of two processors to build."""


def default_cache_dir() -> Path:
    """Outside every checkout, so that a fresh clone builds nothing twice."""
    if os.geteuid() == 0:
        return Path("/var/cache/warmci/images")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "warmci" / "images"


def provide_images(engine: Engine, tags: Iterable[str], cache_dir: Path, report: Callable[[str], None]) -> None:
    """Make the engine have these images. Raises InfraError naming the image that can be neither pulled nor built."""
    missing = [tag for tag in tags if not engine.has_image(tag)]
    if not missing:
        return
    built = [tag for tag in missing if IMAGES[tag].tar(cache_dir).exists()]
    to_build = [tag for tag in missing if tag not in built and not _pulled(engine, tag, report)]
    build_images(to_build, cache_dir, report)
    for tag in [*built, *to_build]:
        began = time.monotonic()
        engine.import_image(IMAGES[tag].tar(cache_dir), tag, IMAGES[tag].changes)
        report(f"image {tag}: imported in {time.monotonic() - began:.1f} s")


def _pulled(engine: Engine, tag: str, report: Callable[[str], None]) -> bool:
    if not IMAGES[tag].official:
        return False
    try:
        engine.pull_image(IMAGES[tag].official, tag)
    except InfraError:
        return False  # no registry within reach; the build says what it lacks
    report(f"image {tag}: pulled {IMAGES[tag].official}")
    return True


def build_images(tags: Iterable[str], cache_dir: Path, report: Callable[[str], None]) -> None:
    """Put what is missing into the cache; one process at a time builds, others wait and find it done."""
    wanted = [IMAGES[tag] for tag in tags]
    if all(image.tar(cache_dir).exists() for image in wanted):
        return
    if os.geteuid() != 0:
        raise UsageError(
            "building images needs root", hint="run it as root, or give the engine a registry to pull from"
        )
    cache_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _locked(cache_dir, report):
        missing = [image for image in wanted if not image.tar(cache_dir).exists()]
        _install_tools(missing, report)
        with tempfile.TemporaryDirectory(prefix="warmci-build-", dir=cache_dir) as work:
            # Versions of one image share a work directory, so they are built one after the other.
            names = list(dict.fromkeys(image.name for image in missing))
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                groups = [[image for image in missing if image.name == name] for name in names]
                for done in [pool.submit(_build_all, group, Path(work), cache_dir, report) for group in groups]:
                    done.result()


@contextmanager
def _locked(cache_dir: Path, report: Callable[[str], None]) -> Iterator[None]:
    fd = os.open(cache_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that builds images")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _install_tools(images: list[Image], report: Callable[[str], None]) -> None:
    tools = {tool: package for image in images for tool, package in _TOOLS[image.name].items()}
    packages = sorted({package for tool, package in tools.items() if shutil.which(tool) is None})
    if packages:
        report(f"installing {', '.join(packages)}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        process.run(["apt-get", "update", "-qq"], timeout_s=_INSTALL_TIMEOUT_S)
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
        process.run(install, timeout_s=_INSTALL_TIMEOUT_S, env=quiet)


def _build_all(images: list[Image], work: Path, cache_dir: Path, report: Callable[[str], None]) -> None:
    for image in images:
        _build(image, work / image.name, cache_dir, report)


def _build(image: Image, work: Path, cache_dir: Path, report: Callable[[str], None]) -> None:
    """Run the image's script in mount and PID namespaces of its own: nothing it mounts or starts outlives it."""
    began, target = time.monotonic(), image.tar(cache_dir)
    report(f"image {image.tag}: building")
    work.mkdir(exist_ok=True)
    unborn, log = work / f"{image.version}.tar", cache_dir / f"{image.name}-{image.version}.log"
    script = f"{image.name}.build.sh"
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", script]
    facts = {name: os.environ[name] for name in _FETCHING if name in os.environ}
    facts |= {"VERSION": image.version, "WORK": str(work), "OUT": str(unborn), "PATH": f"{os.environ['PATH']}:{_PATH}"}
    running = process.start(argv, cwd=_SCRIPTS, env=facts, log_file=_emptied(log))
    try:
        code = process.wait(running, timeout_s=_BUILD_TIMEOUT_S)
    finally:
        process.stop(running)
    if code != 0:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
        raise InfraError(f"image {image.tag} cannot be built: {said[-1]}", hint=f"the whole log is in {log}")
    unborn.rename(target)
    for old in cache_dir.glob(f"{image.name}-{image.version}-*.tar"):
        if old != target:
            old.unlink()
    report(f"image {image.tag}: built in {time.monotonic() - began:.0f} s, {target.stat().st_size / 1e6:.0f} MB")


def _emptied(log: Path) -> Path:
    log.write_bytes(b"")
    return log
