"""An operator's commands on the real engine: an app deployed by hand is saved, changed, restored, refused, repaired."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from warmci.base import names, process
from warmci.base.settings import Settings
from warmci.store import stack_volumes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration
RECIPE, VERSION = "custom-html", "1.0.0+1.35.0"
COMPOSE = """
version: "3.8"
services:
  app:
    image: {image}
    command: ["httpd", "-f", "-p", "80", "-h", "/data"]
    volumes: ["content:/data"]
    deploy:
      endpoint_mode: dnsrr
      restart_policy: {{delay: 1s}}
volumes:
  content:
"""


class HandDeployed:
    """The operator's own `docker stack deploy`, without any of WarmCI's labels."""

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench, self.engine = bench, bench.engine
        self.stack = names.stack_name(names.canonical_domain(RECIPE, bench.settings.base_domain))
        image = next(tag for item in self.engine.images() for tag in item["RepoTags"] or () if "busybox" in tag)
        self._file = directory / "compose.yml"
        self._file.write_text(COMPOSE.format(image=image))

    def _docker(self, *arguments: str) -> str:
        return process.run(["docker", "--host", self.engine.docker_host, *arguments], timeout_s=60).stdout

    def deploy(self) -> None:
        options = ["--detach=true", "--resolve-image", "never", "--compose-file", str(self._file)]
        self._docker("stack", "deploy", *options, self.stack)
        self._until(lambda: bool(self.engine.service_containers(self.stack, "app")))

    def undeploy(self) -> None:
        self._docker("stack", "rm", self.stack)
        self._until(lambda: not stack_volumes.stack_users(self.engine, self.stack, [f"{self.stack}_content"], []))

    def _until(self, is_so: Callable[[], bool], deadline_s: float = 90) -> None:
        end = time.monotonic() + deadline_s
        while not is_so():
            assert time.monotonic() < end, self._docker("service", "ps", "--no-trunc", f"{self.stack}_app")
            time.sleep(0.2)

    def run(self, script: str) -> str:
        code, output = self.engine.exec_in_service(self.stack, "app", ["sh", "-c", script])
        assert code == 0, output
        return output.strip()

    def served(self) -> str:
        return self.run("wget -qO- http://127.0.0.1/page")

    def remove(self) -> None:
        self.undeploy()
        self.engine.remove_volume(f"{self.stack}_content")


@pytest.fixture
def own(bench: Bench, tmp_path: Path) -> Bench:
    """A WarmCI of its own on the session's engine: what other tests keep of the recipe is not its business."""
    kept = bench.settings.model_dump(mode="json", exclude_defaults=True)
    values = {**kept, "state_dir": str(tmp_path / "state"), "base_domain": "operator.warmci.localhost"}
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    (tmp_path / "settings.toml").write_text(text, encoding="utf-8")
    return type(bench)(tmp_path, Settings.model_validate(values))


def test_save_change_restore(own: Bench, tmp_path: Path) -> None:
    bench, app = own, HandDeployed(own, tmp_path)
    app.deploy()
    try:
        app.run("echo first > /data/page && chown 33:33 /data/page && chmod 640 /data/page")
        refused = bench.call("warmci", "snapshot", "save", RECIPE, "--ref", VERSION)
        assert refused.code == 3, refused.stderr
        assert f"{app.stack} is in use by service {app.stack}_app" in refused.stderr
        app.undeploy()

        planned = bench.call("warmci", "snapshot", "save", RECIPE, "--ref", VERSION, "--dry-run", "--json")
        assert planned.code == 0, planned.stderr
        assert json.loads(planned.stdout)["volumes"][0]["files"] == 1
        assert bench.store.load(RECIPE) is None
        saved = bench.call("warmci", "snapshot", "save", RECIPE, "--ref", VERSION, "--json")
        assert saved.code == 0, saved.stderr
        assert "refuse while the app's own volumes are there; docker volume rm" in saved.stderr
        canonical = json.loads(saved.stdout)
        assert (canonical["version"], canonical["state"]) == (VERSION, "good")
        fingerprint = bench.fingerprint(RECIPE)

        app.deploy()
        assert app.served() == "first"
        app.run("echo second > /data/page; echo more > /data/more")
        refused = bench.call("warmci", "snapshot", "restore", RECIPE, "--yes")
        assert refused.code == 3, refused.stderr
        assert "is in use by service" in refused.stderr
        assert app.served() == "second"
        app.undeploy()
        unasked = bench.call("warmci", "snapshot", "restore", RECIPE)
        assert unasked.code == 2, unasked.stderr
        restored = bench.call("warmci", "snapshot", "restore", RECIPE, "--yes")
        assert restored.code == 0, restored.stderr
        app.deploy()
        assert app.served() == "first"
        assert app.run("stat -c '%u:%g %a' /data/page; ls /data") == "33:33 640\npage"
        app.undeploy()

        look = tmp_path / "look"
        assert bench.call("warmci", "snapshot", "restore", RECIPE, "--to", str(look)).code == 0
        assert (look / "content" / "page").read_text() == "first\n"
        app.engine.remove_volume(f"{app.stack}_content")
        assert bench.call("warmci", "snapshot", "restore", RECIPE, "--yes").code == 0, "a lost volume is made"
        app.deploy()
        assert app.served() == "first"
        app.undeploy()
        assert bench.fingerprint(RECIPE) == fingerprint
        _quick_runs_on_it(bench, app)
    finally:
        app.remove()
        bench.call("warmci", "canonical", "remove", RECIPE, "--yes")
    assert bench.store.load(RECIPE) is None
    assert app.engine.volumes([f"com.docker.stack.namespace={app.stack}"]) == []


def _quick_runs_on_it(bench: Bench, app: HandDeployed) -> None:
    """What was saved by hand is a canonical like any other; the app's own volumes are never run over."""
    remedy = f"docker volume rm {app.stack}_content"
    planned = bench.call("warmci", "snapshot", "restore", RECIPE, "--dry-run")
    said = f"quick runs of {RECIPE} are refused while these volumes are there; once they are not needed: {remedy}"
    assert said in " ".join(planned.stderr.split())
    refused = bench.run(RECIPE, "--quick")
    assert refused.code == 3, refused.stderr
    assert remedy in refused.result.hint
    app.engine.remove_volume(f"{app.stack}_content")
    answer = bench.run(RECIPE, "--quick")
    assert answer.code == 0, answer.stderr
    assert answer.result.base_version == VERSION
    assert bench.call("warmci", "snapshot", "verify", RECIPE, "--read-data").code == 0
    assert bench.call("warmci", "canonical", "fsck").code == 0
