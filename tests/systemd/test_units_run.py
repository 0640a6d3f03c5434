"""The units for hosts without Nix under a real systemd, each with its own ExecStart: failing, alerting, catching up."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from warmci.base.models import EXIT_CODES

if TYPE_CHECKING:
    from support.machine import Machine

pytestmark = pytest.mark.integration

SERVICES = {
    "warmci-keycloak": ("keycloak", "reconcile"),
    "warmci-canonicals": ("canonical", "reconcile", "--yes"),
    "warmci-sweep": ("sweep",),
}
WARMCI = "/opt/warmci/bin/warmci"
BROKEN = "max_tests = 'many'\n"
ENDED = {"dead", "failed", "exited"}
USAGE = 2
MISSING_CREDENTIAL = 243
"""EXIT_CREDENTIALS (systemd.exec(5))."""


def ended(machine: Machine, service: str, deadline_s: float = 60) -> bool:
    """Start it and wait for its end and its alert's; whether it succeeded."""
    unit = f"{service}.service"
    machine.systemctl("start", unit)
    machine.wait(f"end of {unit}", lambda: machine.show(unit, "SubState")[0] in ENDED, deadline_s)
    alert = f"warmci-alert@{unit.removesuffix('.service')}.service"
    machine.wait("end of the alert", lambda: machine.show(alert, "ActiveState")[0] in {"inactive", "failed"})
    return machine.show(unit, "Result")[0] == "success"


def alert_of(machine: Machine, service: str) -> Any:
    return json.loads((machine.state / ".alerts" / f"{service}.json").read_text(encoding="utf-8"))


def test_systemd_loads_them_without_a_word(machine: Machine) -> None:
    for service in (*SERVICES, "warmci-ingress", "warmci-alert@x"):
        assert machine.show(f"{service}.service", "LoadState", "LoadError") == ["loaded", ""]
    said = machine.run("journalctl", "--no-pager", "--boot", "--identifier", "systemd", "--priority", "warning")
    assert "warmci" not in said


@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_credential_stops_it_and_is_told(machine: Machine, service: str) -> None:
    machine.run("rm", "-r", "/etc/warmci/credentials")
    assert not ended(machine, service)
    assert machine.show(f"{service}.service", "ExecMainStatus") == [str(MISSING_CREDENTIAL)]
    raised = alert_of(machine, service)
    assert raised["subject"] == service
    assert raised["message"] == f"{service}.service failed: exit-code, exited {MISSING_CREDENTIAL}"


@pytest.mark.parametrize("service", SERVICES)
def test_broken_settings_are_told_with_the_documented_code(machine: Machine, service: str) -> None:
    machine.write("/etc/warmci/settings.toml", BROKEN)
    assert not ended(machine, service)
    assert machine.show(f"{service}.service", "ExecMainStatus") == [str(USAGE)]
    raised = alert_of(machine, service)
    assert raised.keys() == {"schema_version", "subject", "message", "hint", "host", "since"}
    assert raised["message"].endswith(f"exited {USAGE}")
    assert raised["hint"] == f"journalctl -u {service}.service"
    alerts = machine.state / ".alerts"
    assert [oct(path.stat().st_mode & 0o777) for path in (alerts, alerts / f"{service}.json")] == ["0o700", "0o600"]
    said = [line["MESSAGE"] for line in machine.journal(f"warmci-alert@{service}.service") if line["PRIORITY"] == "3"]
    assert said == [f"alert: {raised['message']}"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_unit_ends_as_its_command_does(machine: Machine, service: str) -> None:
    by_hand = machine.call(WARMCI, *SERVICES[service])
    assert by_hand.returncode in EXIT_CODES.values()
    assert ended(machine, service) == (by_hand.returncode == 0)
    assert machine.show(f"{service}.service", "ExecMainStatus") == [str(by_hand.returncode)]


def test_an_alert_goes_to_the_webhook(machine: Machine) -> None:
    machine.write("/root/hook.py", HOOK)
    machine.write("/etc/warmci/credentials/alert_webhook", "http://127.0.0.1:8099/S3CRET\n", 0o600)
    machine.write("/etc/warmci/settings.toml", BROKEN)
    machine.run("systemd-run", "--quiet", "--unit=hook", "--collect", "/usr/bin/python3", "/root/hook.py")
    try:
        machine.wait("webhook", lambda: "up" in machine.run("journalctl", "--unit=hook", "--output=cat"))
        ended(machine, "warmci-sweep")
        received = json.loads((machine.root / "root/received.json").read_text(encoding="utf-8"))
    finally:
        machine.systemctl("stop", "hook.service")
    assert received["path"] == "/S3CRET"
    assert received["type"] == "application/json"
    assert json.loads(received["body"]) == alert_of(machine, "warmci-sweep")
    assert "S3CRET" not in machine.run("journalctl", "--no-pager", "--unit=warmci-*")


HOOK = """
import http.server, json
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/root/received.json", "w") as file:
            json.dump({"path": self.path, "type": self.headers["Content-Type"], "body": body}, file)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 8099), Hook)
print("up", flush=True)
server.serve_forever()
"""


def test_a_webhook_that_is_down_does_not_silence_the_alert(machine: Machine) -> None:
    machine.write("/etc/warmci/credentials/alert_webhook", "http://127.0.0.1:9/S3CRET\n", 0o600)
    machine.write("/etc/warmci/settings.toml", BROKEN)
    ended(machine, "warmci-sweep")
    assert alert_of(machine, "warmci-sweep")
    assert machine.show("warmci-alert@warmci-sweep.service", "Result") == ["success"]
    said = "\n".join(line["MESSAGE"] for line in machine.journal("warmci-alert@warmci-sweep.service"))
    assert "the alert webhook did not take it (curl ended 7)" in said
    assert "S3CRET" not in said


def test_without_a_state_directory_the_journal_has_it(machine: Machine) -> None:
    machine.write(
        f"{ETC_DROP_IN}", "[Service]\nExecStart=\nExecStart=/usr/local/lib/warmci/alert raise /nonexistent %i\n"
    )
    machine.run("systemctl", "daemon-reload")
    machine.write("/etc/warmci/settings.toml", BROKEN)
    ended(machine, "warmci-sweep")
    assert machine.show("warmci-alert@warmci-sweep.service", "Result") == ["success"]
    said = [line["MESSAGE"] for line in machine.journal("warmci-alert@warmci-sweep.service")]
    assert "there is no state directory /nonexistent yet: the alert is in this journal only" in said


ETC_DROP_IN = "/etc/systemd/system/warmci-alert@.service.d/elsewhere.conf"


def _stamp(machine: Machine, when: str) -> None:
    machine.run("touch", "--date", when, "/var/lib/systemd/timers/stamp-warmci-sweep.timer")
    machine.write("/etc/systemd/system/warmci-sweep.timer.d/now.conf", "[Timer]\nRandomizedDelaySec=0\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "warmci-sweep.timer")


def test_a_missed_night_is_made_up_for(machine: Machine) -> None:
    _stamp(machine, "3 days ago")
    service = "warmci-sweep.service"
    machine.wait("sweep", lambda: machine.show(service, "ExecMainStartTimestamp") != [""])
    machine.wait("its end", lambda: machine.show(service, "SubState")[0] in {"dead", "failed"})
    assert any(line.get("MESSAGE") for line in machine.journal(service))


def test_a_night_that_was_not_missed_is_not_repeated(machine: Machine) -> None:
    before = machine.show("warmci-sweep.service", "InvocationID")
    _stamp(machine, "now")
    time.sleep(0.5)  # a catch-up comes at once, see above
    assert machine.show("warmci-sweep.service", "InvocationID", "SubState") == [*before, "dead"]
    (following,) = machine.show("warmci-sweep.timer", "NextElapseUSecRealtime")
    assert " 03:00:00 " in following


def test_nothing_is_written_outside_the_state_directory(machine: Machine) -> None:
    machine.write("/etc/warmci/settings.toml", "")
    machine.run("systemctl", "daemon-reload")
    systemd_own = ("var/log/journal/", "var/lib/systemd/", "run/")

    def written() -> dict[str, int]:
        files = [path for path in machine.upper.rglob("*") if not path.is_dir()]
        names = {str(path.relative_to(machine.upper)): path.lstat().st_mtime_ns for path in files}
        return {name: when for name, when in names.items() if not name.startswith(systemd_own)}

    before = written()
    for service in SERVICES:
        ended(machine, service)
    assert written() == before
    machine.run("touch", "/etc/outside")
    assert written().keys() - before.keys() == {"etc/outside"}
    machine.run("rm", "/etc/outside")
    assert machine.run("sh", "-c", "ls -A /tmp /var/tmp /dev/shm | grep -i warmci || true") == ""
