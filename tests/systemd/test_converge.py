"""The units converge for real: systemd in a container, the engine outside of it, a Keycloak deployed by the oneshot."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from support import nixeval
from support.machine import furnished
from warmci.base.labels import INSTANCE_LABEL
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import keycloak_json
from warmci.report import alerts
from warmci.sso import keycloak_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.bench import Bench
    from support.machine import Machine

pytestmark = pytest.mark.integration

UNIT = "warmci-keycloak.service"
CONVERGED_S = 300
SYSTEMD_OWN = ("var/log/journal/", "var/lib/systemd/", "run/")


@pytest.fixture(scope="module")
def settings(bench: Bench) -> Settings:
    """A WarmCI of its own on the session's engine; its state has one path inside and outside: the engine mounts it."""
    values = {
        "state_dir": str(bench.root / "machine" / "state"),
        "recipes_dir": str(bench.settings.recipes_dir),
        "recipe_source": bench.settings.recipe_source,
        "base_domain": "systemd.warmci.localhost",
        "docker_host": bench.settings.docker_host,
        "port_first": 18000,
    }
    return Settings.model_validate(values)


@pytest.fixture(scope="module")
def host(bench: Bench, settings: Settings, wheel: Path) -> Iterator[Machine]:
    directory = bench.root / "machine"
    directory.mkdir(mode=0o755)
    assert bench.settings.netns is not None
    docker = shutil.which("docker")
    assert docker is not None
    socket = settings.docker_host.removeprefix("unix://")
    binds = (f"--bind={socket}", f"--bind-ro={bench.root / 'demo'}", f"--bind-ro={docker}:/usr/bin/docker")
    files = nixeval.plain_files(f'services.warmci.settings.state_dir = "{settings.state_dir}";')
    options = {"state_inside": str(settings.state_dir)}
    extra = (f"--network-namespace-path={bench.settings.netns}", *binds)
    with furnished(directory, wheel, files, extra=extra, **options) as machine:
        machine.run("install", "-d", "-m", "0700", "/etc/warmci/credentials")
        values = settings.model_dump(mode="json", exclude_defaults=True)
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        machine.write("/etc/warmci/settings.toml", text)
        try:
            yield machine
        finally:
            down = machine.call("/opt/warmci/bin/warmci", "keycloak", "down", "--yes")
            ours = [f"{INSTANCE_LABEL}={open_state(settings.state_dir).instance}"]
            left = [*bench.engine.services(ours), *bench.engine.volumes(ours), *bench.engine.networks(ours)]
        assert (down.returncode, left) == (0, []), down.stderr


def written(machine: Machine) -> dict[str, int]:
    """Files that differ from the image, by when; systemd's own journal and stamps left out."""
    files = [path for path in machine.upper.rglob("*") if not path.is_dir()]
    times = {str(path.relative_to(machine.upper)): path.lstat().st_mtime_ns for path in files}
    return {name: when for name, when in times.items() if not name.startswith(SYSTEMD_OWN)}


def said(machine: Machine) -> str:
    return "\n".join(line["MESSAGE"] for line in machine.journal(UNIT) if isinstance(line.get("MESSAGE"), str))


def test_the_oneshot_converges_and_takes_its_alert_back(host: Machine, settings: Settings) -> None:
    """One story, since a Keycloak takes twenty seconds to boot."""
    # First it fails: its alert stands, and WarmCI itself can read what the shell wrote.
    settings_file = host.root / "etc/warmci/settings.toml"
    good = settings_file.read_text(encoding="utf-8")
    settings_file.write_text(good + "max_tests = 0\n", encoding="utf-8")
    host.systemctl("start", UNIT)
    assert host.show(UNIT, "ActiveState", "ExecMainStatus") == ["failed", "2"]
    host.wait("alert", lambda: [item.subject for item in alerts.standing(settings)] == ["warmci-keycloak"])
    settings_file.write_text(good, encoding="utf-8")

    # Then it converges, within its sandbox, and writes nowhere else.
    before = written(host)
    host.run("systemctl", "start", "--no-block", UNIT)
    host.wait("convergence", lambda: host.show(UNIT, "ActiveState") != ["activating"], CONVERGED_S)
    assert host.show(UNIT, "ActiveState", "SubState", "Result") == ["active", "exited", "success"], said(host)
    record = keycloak_json.load_live(settings)
    assert record is not None
    assert keycloak_app.unhealthy(settings, record.access.url) is None
    assert alerts.standing(settings) == []
    assert written(host) == before
    assert settings.state_dir.stat().st_mode & 0o777 == 0o700

    # Again: nothing to do. A start is none while it is active; a restart, as a switch does, runs it.
    invocation = host.show(UNIT, "InvocationID")
    host.run("systemctl", "start", UNIT)
    assert host.show(UNIT, "InvocationID") == invocation
    host.run("systemctl", "restart", UNIT)
    assert host.show(UNIT, "InvocationID") != invocation
    assert "as wanted already" in said(host)

    # The canonicals: nothing is enrolled and nothing kept, so there is nothing to do, and an old alert is over.
    host.run("/usr/local/lib/warmci/alert", "raise", str(settings.state_dir), "warmci-canonicals")
    assert [item.subject for item in alerts.standing(settings)] == ["warmci-canonicals"]
    host.run("systemctl", "start", "warmci-canonicals.service")
    host.wait("canonicals", lambda: host.show("warmci-canonicals.service", "SubState") == ["dead"])
    assert host.show("warmci-canonicals.service", "Result", "ExecMainStatus") == ["success", "0"]
    assert alerts.standing(settings) == []

    # The same engine, seen by the sweep: nobody is enrolled, so nothing was swept, and that is not green.
    host.systemctl("start", "warmci-sweep.service")
    assert host.show("warmci-sweep.service", "ExecMainStatus") == ["6"]
    host.wait("alert", lambda: "warmci-sweep" in [item.subject for item in alerts.standing(settings)])
    assert written(host) == before
