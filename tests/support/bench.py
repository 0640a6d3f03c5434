"""A real engine, a real Keycloak and the demo's recipes, made once for the session and removed at its end."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from warmci.base import http, netns
from warmci.base.models import Ledger, RunResult
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.demo import images, private_engine, recipes
from warmci.live import keycloak, keycloak_json
from warmci.operate import ledger
from warmci.report.console import Console
from warmci.sso import keycloak_app
from warmci.store import snapshot
from warmci.store.canonical import CanonicalStore
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from warmci.sso.admin_rest import KeycloakAccess

BIN = Path(sys.executable).parent
RUN_TIMEOUT_S = 300


@dataclass(frozen=True)
class Answer:
    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> RunResult:
        return RunResult.model_validate_json(self.stdout)


@dataclass(frozen=True)
class Bench:
    """Everything that a run needs, and the console scripts to start one with."""

    root: Path
    settings: Settings

    @property
    def store(self) -> CanonicalStore:
        return CanonicalStore(self.settings.state_dir)

    @property
    def engine(self) -> Engine:
        return Engine(self.settings.docker_host)

    def env(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "WARMCI_SETTINGS": str(self.root / "settings.toml"), **more}

    def start(self, program: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        argv = [str(BIN / program), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=self.env(**env), start_new_session=True)

    def call(self, program: str, *arguments: str, **env: str) -> Answer:
        process = self.start(program, *arguments, **env)
        try:
            stdout, stderr = process.communicate(timeout=RUN_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()
        return Answer(process.returncode, stdout, stderr)

    def run(self, *arguments: str, **env: str) -> Answer:
        return self.call("run_recipe_ci.py", *arguments, "--json", **env)

    def ledger(self) -> Ledger:
        instance = open_state(self.settings.state_dir).instance
        return ledger.take(self.engine, self.settings, instance, "")

    def fingerprint(self, recipe: str) -> str:
        """The canonical's hash, after every byte was compared with it."""
        canonical = self.store.load(recipe)
        assert canonical is not None
        assert snapshot.verify(self.settings.state_dir, recipe, canonical.snapshot, read_data=True) == []
        return canonical.manifest_sha256


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """Not pytest's own temporary directory: an engine's files must not be kept for three sessions."""
    with tempfile.TemporaryDirectory(prefix="warmci-tests-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def bench(root: Path) -> Iterator[Bench]:
    """An engine with the demo's images and no Keycloak yet; this thread is in its network namespace from then on."""
    started = private_engine.start(root / "engine", print)
    try:
        engine = Engine(started.docker_host)
        images.provide_images(engine, images.STORY, images.default_cache_dir(), print)
        recipes.instantiate(root / "demo")
        values = {
            "state_dir": str(root / "state"),
            "recipes_dir": str(root / "demo" / "operator"),
            "recipe_source": f"{root}/demo/recipes/{{recipe}}",
            "docker_host": started.docker_host,
            "netns": str(started.netns),
            "watch_s": 2.0,  # whoever tests the watch asks for more
            "screenshots": "never",  # as above
        }
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        (root / "settings.toml").write_text(text, encoding="utf-8")
        with entered(started.netns):
            yield Bench(root, Settings.model_validate(values))
    finally:
        private_engine.destroy(root / "engine")


class entered:  # noqa: N801  (reads as what it does)
    """Puts this thread into a network namespace, and back."""

    def __init__(self, namespace: Path) -> None:
        self._namespace = namespace

    def __enter__(self) -> None:
        self._home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        netns.enter(self._namespace)

    def __exit__(self, *_: object) -> None:
        assert ctypes.CDLL(None).setns(self._home, 0) == 0
        os.close(self._home)


@pytest.fixture(scope="session")
def live_provider(bench: Bench) -> keycloak_app.Provider:
    """The live-warm Keycloak of the session."""
    keycloak.reconcile(bench.settings, Console(quiet=True))
    record = keycloak_json.load_live(bench.settings)
    assert record is not None
    return keycloak_app.Provider(record.access, record.domain, record.version)


@pytest.fixture
def live_keycloak(live_provider: keycloak_app.Provider) -> KeycloakAccess:
    return live_provider.access


@pytest.fixture
def http_client(bench: Bench) -> Iterator[httpx.Client]:
    settings = bench.settings
    with http.client(base_domain=settings.base_domain, address=settings.ingress_address, timeout_s=60) as client:
        yield client


@pytest.fixture(scope="session")
def seeded(bench: Bench, live_provider: keycloak_app.Provider) -> Bench:
    """Miniflux has a canonical with a past: seeded by 0.1.0, advanced by 0.1.1."""
    first = bench.run("miniflux", "--ref", "0.1.0+2.2.8")
    assert first.code == 0, first.stderr
    second = bench.run("miniflux", "--ref", "0.1.1+2.2.8")
    assert second.code == 0, second.stderr
    return bench
