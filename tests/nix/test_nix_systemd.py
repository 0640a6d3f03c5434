"""What systemd itself says of the units, and what NixOS would check when it builds a system."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.nixeval import HOSTS, ROOT, host, sections

PLAIN = str(HOSTS / "plain.nix")
SCRIPTS = Path(sys.executable).parent
# Exposure, in tenths, as systemd-analyze counts it. Five of WarmCI's own ten points it has to be given: root, mounts,
# other users' processes, the network. docs/nixos.md says why, directive by directive.
EXPOSURE = {
    "warmci-ingress": 50,
    "warmci-keycloak": 50,
    "warmci-canonicals": 50,
    "warmci-sweep": 50,
    "warmci-alert@": 18,
}
TIMEOUT_S = 60


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = ["systemd-analyze", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units for hosts without Nix, with programs that are there."""
    directory = tmp_path / "units"
    directory.mkdir()
    for name in ("warmci", "alert"):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    for name, text in host(PLAIN, plain=True).units.items():
        moved = text.replace("/opt/warmci/bin/warmci", f"{tmp_path}/warmci")
        (directory / name).write_text(
            moved.replace("/usr/local/lib/warmci/alert", f"{tmp_path}/alert"), encoding="utf-8"
        )
    return directory


def verify(units: Path) -> tuple[int, str]:
    done = analyze("verify", "--man=no", *(str(path) for path in sorted(units.iterdir())))
    return done.returncode, done.stderr


def test_systemd_reads_every_line(units: Path) -> None:
    assert verify(units) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("KillMode=", "KilMode=", "Unknown key 'KilMode'"),
        ("TimeoutStartSec=10h", "TimeoutStartSec=10 moons", "Failed to parse"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@sytem-service", "Unknown system call group"),
        ("/warmci sweep", "/warmci-is-not-here sweep", "not executable"),
    ],
)
def test_systemd_says_what_it_does_not_understand(units: Path, old: str, new: str, says: str) -> None:
    path = units / "warmci-sweep.service"
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert says in verify(units)[1]


def test_units_that_are_named_exist() -> None:
    found = host(PLAIN, plain=True).units
    for name, text in found.items():
        for target in sections(text)["Unit"].get("OnFailure", []):
            assert re.sub(r"@.*\.", "@.", target) in found, name
    assert sum("OnFailure=warmci-alert@%N.service" in text for text in found.values()) == 4


def exposure(unit: Path, threshold: int) -> int:
    return analyze("security", "--offline=true", f"--threshold={threshold}", str(unit)).returncode


@pytest.mark.parametrize(("name", "threshold"), EXPOSURE.items(), ids=EXPOSURE)
def test_exposure_stays_at_what_the_job_needs(units: Path, name: str, threshold: int) -> None:
    unit = units / f"{name}.service"
    assert exposure(unit, threshold) == 0
    text = unit.read_text(encoding="utf-8")
    weaker = re.sub(r"^(NoNewPrivileges|SystemCallFilter)=.*\n", "", text, flags=re.MULTILINE)
    unit.write_text(weaker, encoding="utf-8")
    assert exposure(unit, threshold) == 1


def test_every_measure_and_its_reason_is_on_the_page() -> None:
    page = (ROOT / "docs" / "nixos.md").read_text(encoding="utf-8")
    service = sections(host(PLAIN, plain=True).units["warmci-sweep.service"])["Service"]
    not_hardening = {"ExecStart", "ExecStartPost", "LoadCredential", "TimeoutStartSec", "Type"}
    assert [key for key in service if key not in not_hardening and f"`{key}" not in page] == []


# --- what NixOS would check at build time


def build(check: str, tmp_path: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a check's script as a Nix builder would: $out is to be made, $TMPDIR is there."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    env = {
        "PATH": os.environ["PATH"],
        "out": str(tmp_path / "out"),
        "TMPDIR": str(tmp_path / "tmp"),
        **(environment or {}),
    }
    argv = ["sh", "-e", "-c", check]
    return subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=env)


def checks(values: str) -> dict[str, str]:
    """The checks of a host, with this machine's systemd and this tree's WarmCI in place of packages."""
    package = f'{{ type = "derivation"; outPath = "{SCRIPTS.parent}"; meta.mainProgram = "warmci"; }}'
    expression = f"""{{ services.warmci = {{ enable = true; package = {package}; sweep.enable = true; {values} }};
        systemd.package = {{ type = "derivation"; outPath = "/usr"; }}; }}"""
    return host(expression).checks


@pytest.mark.parametrize("calendar", ["*-*-* 03:00:00", "Mon..Fri 02:30 Europe/Berlin", "hourly"])
def test_a_good_calendar_builds(calendar: str, tmp_path: Path) -> None:
    done = build(checks(f'sweep.calendar = "{calendar}";')["warmci-calendar-check"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Next elapse" in (tmp_path / "out").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "value",
    [
        'sweep.calendar = "every night";',
        'sweep.calendar = "25:00";',
        'sweep.calendar = "*-*-* 03:00:00; touch /tmp/x";',
        'sweep.calendar = "";',
        'sweep.randomizedDelay = "a while";',
    ],
)
def test_a_bad_calendar_does_not_build(value: str, tmp_path: Path) -> None:
    done = build(checks(value)["warmci-calendar-check"], tmp_path)
    assert done.returncode != 0
    assert "Failed to parse" in done.stderr


def settings_check(values: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    package = f'{{ type = "derivation"; outPath = "{SCRIPTS.parent}"; meta.mainProgram = "warmci"; }}'
    found = host(f"{{ services.warmci = {{ enable = true; package = {package}; settings = {{ {values} }}; }}; }}")
    settings = tmp_path / "settings.toml"
    settings.write_text(found.etc["warmci/settings.toml"], encoding="utf-8")
    check = re.sub(r"/nix/store/\S+-warmci-settings\.toml", str(settings), found.checks["warmci-settings-check"])
    return build(check, tmp_path)


def test_good_settings_build(tmp_path: Path) -> None:
    done = settings_check('base_domain = "ci.example.org"; lock_wait_s = 60; max_tests = 4;', tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out").read_text(encoding="utf-8"))["canonicals"] == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("max_tets = 4;", "max_tets"),
        ("max_tests = 0;", "max_tests"),
        ('base_domain = "Not A Domain";', "base_domain"),
        ('lock_wait_s = "soon";', "lock_wait_s"),
    ],
)
def test_bad_settings_do_not_build(values: str, says: str, tmp_path: Path) -> None:
    done = settings_check(values, tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
