"""The NixOS modules, evaluated: golden units, and what each option does to them; with both libraries, if given."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from support import nixeval
from support.nixeval import HERE, HOSTS, LIBRARIES, ROOT, evaluate, host, nix, sections

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = sorted([*(ROOT / "nix").rglob("*.nix"), *HERE.rglob("*.nix")])
EXAMPLE = str(HOSTS / "example.nix")
ENABLED = "services.warmci.enable = true;"


@pytest.fixture(params=LIBRARIES, ids=str)
def library(request: pytest.FixtureRequest) -> Path:
    return LIBRARIES[request.param]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_parses(path: Path) -> None:
    nix("--parse", str(path))


def test_a_syntax_error_does_not_parse(tmp_path: Path) -> None:
    (tmp_path / "wrong.nix").write_text("{ a = ; }", encoding="utf-8")
    with pytest.raises(nixeval.NixError, match="syntax error"):
        nix("--parse", str(tmp_path / "wrong.nix"))


def test_units_of_the_example_host_are_as_recorded(library: Path) -> None:
    golden = {path.name: path.read_text(encoding="utf-8") for path in (HERE / "golden").iterdir()}
    assert host(EXAMPLE, library=library).units == golden, "see the difference; `make docs` records the units anew"


def test_units_for_hosts_without_nix_are_up_to_date() -> None:
    directory = ROOT / "docs" / "systemd"
    written = {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}
    assert written == nixeval.plain_files(), "run `make docs`"
    assert (directory / "alert").stat().st_mode & 0o111


def test_units_for_hosts_without_nix_are_the_same_but_for_paths(library: Path) -> None:
    values = (HOSTS / "plain.nix").read_text(encoding="utf-8")
    assert "serviceConfig.LoadCredential" in values
    plain = host(str(HOSTS / "plain.nix"), library=library, plain=True).units
    on_nixos = host(str(HOSTS / "plain.nix"), library=library).units
    assert plain.keys() == on_nixos.keys()
    for name, text in plain.items():
        assert "/nix/store" not in text
        without = re.sub(r'^(Environment="PATH=.*|X-.*)\n', "", on_nixos[name], flags=re.MULTILINE)
        assert text == re.sub(r"/nix/store/\w{32}-warmci-alert", "/usr/local/lib/warmci/alert", without)


def test_nothing_is_there_until_it_is_enabled(library: Path) -> None:
    found = host(
        "{ services.warmci = { ingress.enable = true; keycloak.enable = true; sweep.enable = true; }; }",
        library=library,
    )
    assert (found.units, found.etc, found.checks) == ({}, {}, {})
    only_alert = host(f"{{ {ENABLED} }}", library=library)
    assert list(only_alert.units) == ["warmci-alert@.service"]
    assert list(only_alert.etc) == ["warmci/settings.toml"]


def test_settings_become_toml(library: Path) -> None:
    expression = f"""{{ {ENABLED} services.warmci.settings = {{
        base_domain = "a.example"; max_tests = 3; lock_wait_s = 1.5;
        protected_realms = [ "one" "two \\"q\\"" ]; recipes_dir = /etc/recipes;
    }}; }}"""
    assert tomllib.loads(host(expression, library=library).etc["warmci/settings.toml"]) == {
        "base_domain": "a.example",
        "lock_wait_s": 1.5,
        "max_tests": 3,
        "protected_realms": ["one", 'two "q"'],
        "recipes_dir": "/etc/recipes",
        "state_dir": "/var/lib/ci-warm",
    }


def test_the_example_enrolls_its_recipes() -> None:
    written = tomllib.loads(host(EXAMPLE).etc["warmci/settings.toml"])
    assert written["recipes"] == ["miniflux", "nextcloud"]


def _triggers(found: nixeval.Host) -> dict[str, str]:
    keys = {name: sections(text)["Unit"].get("X-Restart-Triggers", [""])[0] for name, text in found.units.items()}
    return {name: value for name, value in keys.items() if value}


def test_changed_settings_restart_what_converges_and_not_a_sweep(library: Path) -> None:
    changed = f"{{ imports = [ {EXAMPLE} ]; services.warmci.settings.port_count = 77; }}"
    before, after = host(EXAMPLE, library=library), host(changed, library=library)
    assert _triggers(before).keys() == {
        "warmci-ingress.service",
        "warmci-keycloak.service",
        "warmci-canonicals.service",
    }
    assert _triggers(before).keys() == _triggers(after).keys()
    assert all(_triggers(before)[name] != value for name, value in _triggers(after).items())
    different = {name for name in before.units if before.units[name] != after.units[name]}
    assert different == _triggers(after).keys()
    assert "X-RestartIfChanged=false" in before.units["warmci-sweep.service"]


def test_credentials_are_handed_over_and_named_nowhere_else(library: Path) -> None:
    found = host(EXAMPLE, library=library)
    for name in ("warmci-ingress", "warmci-keycloak", "warmci-canonicals", "warmci-sweep"):
        service = sections(found.units[f"{name}.service"])["Service"]
        assert service["LoadCredential"] == [
            "warmci_alert_webhook:/run/secrets/warmci-alert-webhook",
            "warmci_forge_token:/run/secrets/warmci-forge-token",
        ]
    alert = sections(found.units["warmci-alert@.service"])["Service"]
    assert alert["LoadCredential"] == ["warmci_alert_webhook:/run/secrets/warmci-alert-webhook"]
    assert alert["SetCredential"] == ["warmci_alert_webhook:none"]
    rest = [line for text in found.units.values() for line in text.splitlines() if "LoadCredential=" not in line]
    assert "/run/secrets" not in "\n".join([*rest, *found.etc.values(), *found.checks.values(), found.alert])


def test_the_state_directory_is_waited_for_and_reaches_the_alert(library: Path) -> None:
    expression = f'{{ imports = [ {EXAMPLE} ]; services.warmci.settings.state_dir = "/srv/warm"; }}'
    units = host(expression, library=library).units
    for name, text in units.items():
        if name.startswith("warmci-") and name.endswith(".service"):
            assert sections(text)["Unit"]["RequiresMountsFor"] == ["/srv/warm"], name
    assert sections(units["warmci-alert@.service"])["Service"]["BindPaths"] == ["-/srv/warm"]
    assert "/var/lib/ci-warm" not in "".join(units.values())


def test_options_of_the_sweep_reach_its_timer(library: Path) -> None:
    values = 'calendar = "Mon 02:00"; randomizedDelay = "0"; timeout = "3h"; shard = true;'
    units = host(f"{{ {ENABLED} services.warmci.sweep = {{ enable = true; {values} }}; }}", library=library).units
    assert sections(units["warmci-sweep.timer"])["Timer"] == {
        "OnCalendar": ["Mon 02:00"],
        "Persistent": ["true"],
        "RandomizedDelaySec": ["0"],
    }
    assert sections(units["warmci-sweep.service"])["Service"]["TimeoutStartSec"] == ["3h"]
    assert sections(units["warmci-sweep.service"])["Service"]["ExecStart"][0].endswith("/warmci sweep --shard")


def test_traefik_comes_before_whatever_is_reached_through_it(library: Path) -> None:
    service = host(EXAMPLE, library=library).units["warmci-ingress.service"]
    before = sections(service)["Unit"]["Before"][0].split()
    assert before == ["warmci-keycloak.service", "warmci-canonicals.service", "warmci-sweep.service"]
    off = "services.warmci.ingress.enable = lib.mkForce false;"
    without = f"{{ lib, ... }}: {{ imports = [ {EXAMPLE} ]; {off} }}"
    assert "warmci-ingress.service" not in host(without, library=library).units


def test_a_network_namespace_may_be_entered_only_where_one_is_set(library: Path) -> None:
    shared = f"{ENABLED} services.warmci.sweep.enable = true;"
    with_one = f'{{ {shared} services.warmci.settings.netns = "/run/netns/x"; }}'
    for expression, value in ((f"{{ {shared} }}", "true"), (with_one, "net")):
        service = sections(host(expression, library=library).units["warmci-sweep.service"])["Service"]
        assert service["RestrictNamespaces"] == [value]


def test_an_operator_may_override_what_a_unit_says(library: Path) -> None:
    expression = f"""{{ lib, ... }}: {{ imports = [ {EXAMPLE} ];
        systemd.services.warmci-sweep.serviceConfig.UMask = lib.mkForce "0027";
        systemd.services.warmci-sweep.serviceConfig.Nice = 10; }}"""
    service = sections(host(expression, library=library).units["warmci-sweep.service"])["Service"]
    assert (service["UMask"], service["Nice"], service["KillMode"]) == (["0027"], ["10"], ["mixed"])


def test_every_run_is_bounded() -> None:
    for name, text in host(EXAMPLE).units.items():
        service = sections(text).get("Service")
        if service:
            bound = "RuntimeMaxSec" if service["Type"] == ["exec"] else "TimeoutStartSec"
            assert re.fullmatch(r"\d+(min|h)", service[bound][0]), name


def test_the_package_is_the_default_one() -> None:
    arguments = evaluate(f"{{ {ENABLED} }}", attribute="package")
    assert arguments["pname"] == "warmci"
