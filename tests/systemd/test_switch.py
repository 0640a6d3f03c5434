"""What `nixos-rebuild switch` does with the units of the modules, done by hand: there is no NixOS at hand to do it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import nixeval
from support.machine import ETC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.machine import Machine

pytestmark = pytest.mark.integration

SERVICES = ("warmci-keycloak.service", "warmci-canonicals.service", "warmci-sweep.service")
TIMER = "warmci-sweep.timer"
PACKAGE = '{ type = "derivation"; outPath = "/opt/warmci"; meta.mainProgram = "warmci"; }'


def generation(machine: Machine, values: str) -> dict[str, str]:
    """The units as NixOS has them, installed with the settings and what they name in the store; not yet reloaded."""
    common = f"enable = true; package = {PACKAGE}; keycloak.enable = true; sweep.enable = true;"
    found = nixeval.host(
        f'{{ services.warmci = {{ {common} canonicals = {{ enable = true; recipes = [ "a" ]; }}; {values} }}; }}'
    )
    machine.write("/etc/warmci/settings.toml", found.etc["warmci/settings.toml"])
    for name, text in found.units.items():
        machine.write(f"{ETC}/{name}", text)
        for script in re.findall(r"/nix/store/\w{32}-warmci-alert\b", text):
            machine.write(script, found.alert, 0o755)
        for path in re.findall(r"(/nix/store/\w{32}-[\w-]+)/bin[:\"]", text):
            machine.run("sh", "-c", f"mkdir -p {path} && ln -sfn /usr/bin {path}/bin")
    return found.units


def switch(machine: Machine, old: dict[str, str], new: dict[str, str]) -> None:
    """As switch-to-configuration: a changed unit is restarted unless it says otherwise, then targets start theirs."""
    machine.run("systemctl", "daemon-reload")
    for unit, text in new.items():
        active = machine.show(unit, "ActiveState")[0] in {"active", "activating"} if "@" not in unit else False
        kept = "X-RestartIfChanged=false" in text or "X-OnlyManualStart=true" in text
        if active and text != old[unit] and not kept:
            machine.systemctl("restart", unit)
    wanted = [unit for unit in new if "WantedBy=multi-user.target" in new[unit]]
    machine.systemctl("start", *wanted)


def invocations(machine: Machine) -> dict[str, str]:
    return {unit: machine.show(unit, "InvocationID")[0] for unit in SERVICES}


def settled(machine: Machine) -> bool:
    return all(machine.show(unit, "SubState")[0] in {"dead", "failed", "exited"} for unit in SERVICES)


@pytest.fixture
def restored(machine: Machine) -> Iterator[None]:
    """Other tests find the units for hosts without Nix again."""
    kept = {path: path.read_text(encoding="utf-8") for path in (machine.root / ETC.lstrip("/")).glob("warmci-*.*")}
    yield
    machine.systemctl("stop", TIMER, *SERVICES)
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")


def test_a_changed_setting_is_taken_up_by_a_switch_and_no_sweep_is_started(machine: Machine, restored: None) -> None:
    # No engine answers there, which WarmCI says by name: that tells which settings a run has read.
    first = generation(machine, 'settings.docker_host = "unix:///run/first.sock";')
    machine.run("systemctl", "daemon-reload")
    machine.run("touch", "/var/lib/systemd/timers/stamp-warmci-sweep.timer")
    machine.systemctl("start", TIMER, "warmci-keycloak.service")
    machine.wait("end of all", lambda: settled(machine))
    log = "\n".join(str(line.get("MESSAGE")) for line in machine.journal("warmci-keycloak.service"))
    assert "/run/first.sock" in log
    assert "/run/second.sock" not in log
    before = invocations(machine)

    second = generation(machine, 'settings.docker_host = "unix:///run/second.sock"; sweep.calendar = "*-*-* 04:30:00";')
    switch(machine, first, second)
    machine.wait("end of all", lambda: settled(machine))
    after = invocations(machine)
    log = "\n".join(str(line.get("MESSAGE")) for line in machine.journal("warmci-keycloak.service"))
    assert "/run/second.sock" in log
    assert after["warmci-keycloak.service"] != before["warmci-keycloak.service"]
    assert after["warmci-canonicals.service"] != before["warmci-canonicals.service"]
    assert after["warmci-sweep.service"] == before["warmci-sweep.service"]

    # The timer was not restarted; what the reload has read is when it elapses next.
    (following,) = machine.show(TIMER, "NextElapseUSecRealtime")
    assert re.search(r" 04:(3\d|4[0-5]):", following), following


def test_the_canonicals_keep_no_switch_waiting(machine: Machine, restored: None) -> None:
    units = generation(machine, "")
    service = nixeval.sections(units["warmci-canonicals.service"])["Service"]
    assert service["Type"] == ["exec"]
    # A command that takes its time, in place of one that has to wait for an engine.
    drop_in = f"{ETC}/warmci-canonicals.service.d/slow.conf"
    machine.write(drop_in, "[Service]\nExecStart=\nExecStart=/usr/bin/sleep 60\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "warmci-canonicals.service")
    assert machine.show("warmci-canonicals.service", "ActiveState", "SubState") == ["active", "running"]
    machine.run("systemctl", "stop", "warmci-canonicals.service")
