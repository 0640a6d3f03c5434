"""Configurations that must be refused, each with a message that names what is wrong. With both libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.nixeval import HOSTS, LIBRARIES, NixError, host

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = HOSTS / "example.nix"
# name: (what stands in the host's configuration beside the example, what the error says)
MISUSES = {
    "an option that does not exist": ("services.warmci.enabel = true;", r"services\.warmci\.enabel' does not exist"),
    "the same below a condition that is false": (
        "services.warmci = lib.mkIf false { sweep.calender = 1; };",
        r"services\.warmci\.sweep\.calender' does not exist",
    ),
    "an option of a unit that does not exist": (
        "systemd.services.warmci-sweep.serviceconfig.Nice = 1;",
        r"serviceconfig' does not exist",
    ),
    "a package that is none": (
        "services.warmci.package = lib.mkForce 3;",
        r"services\.warmci\.package' is not of type",
    ),
    "enable that is no boolean": (
        'services.warmci.sweep.enable = lib.mkForce "yes";',
        r"sweep\.enable' is not of type",
    ),
    "settings that are no set": (
        "services.warmci.settings = lib.mkForce 3;",
        r"services\.warmci\.settings' is not of type",
    ),
    "a setting that is a function": (
        "services.warmci.settings.x = y: y;",
        r"services\.warmci\.settings\.x' is not of type",
    ),
    "a relative state directory": (
        'services.warmci.settings.state_dir = lib.mkForce "state";',
        r"settings\.state_dir' is not of type",
    ),
    "warm state in the store": (
        'services.warmci.settings.state_dir = lib.mkForce "/nix/store/00000000000000000000000000000000-x";',
        r"settings\.state_dir' is not of type",
    ),
    "a secret among the settings": (
        'services.warmci.settings.forge_token = "hunter2";',
        r"settings\.forge_token would be readable by everybody",
    ),
    "a secret as a path literal, which would be copied": (
        "services.warmci.credentials.forge_token = lib.mkForce ./example.nix;",
        r"credentials\.forge_token' is not of type",
    ),
    "a secret from the store": (
        'services.warmci.credentials.forge_token = lib.mkForce "/nix/store/00000000000000000000000000000000-token";',
        r"credentials\.forge_token' is not of type",
    ),
    "a secret from a relative path": (
        'services.warmci.credentials.other = "token";',
        r"credentials\.other' is not of type",
    ),
    "a credential that can be no setting": (
        'services.warmci.credentials."forge-token" = "/run/x";',
        r"each name must be that of a setting",
    ),
    "two values for one setting": (
        'services.warmci.settings.base_domain = "other.example";',
        r"services\.warmci\.settings\.base_domain' has conflicting definition values",
    ),
    "no recipe, which would remove every canonical": (
        "services.warmci.canonicals.recipes = lib.mkForce [ ];",
        r"canonicals\.recipes is empty",
    ),
    "a recipe that is a path": (
        'services.warmci.canonicals.recipes = [ "../x" ];',
        r"canonicals\.recipes.*is not of type",
    ),
    "a calendar that is no text": ("services.warmci.sweep.calendar = 3;", r"sweep\.calendar' is not of type"),
    "a timeout that is no text": ("services.warmci.keycloak.timeout = 90;", r"keycloak\.timeout' is not of type"),
    "an engine that refuses a swarm": ("virtualisation.docker.liveRestore = lib.mkForce true;", r"liveRestore = false"),
    "a kind of service that systemd does not know": (
        'systemd.services.warmci-sweep.serviceConfig.Type = lib.mkForce "onshot";',
        r"Type=onshot",
    ),
    "a unit name without its suffix": ('systemd.services.warmci-sweep.after = [ "docker" ];', r"warmci-sweep\.after"),
}


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
@pytest.mark.parametrize(("text", "says"), MISUSES.values(), ids=MISUSES)
def test_is_refused(text: str, says: str, library: Path) -> None:
    with pytest.raises(NixError, match=says):
        host(f"{{ lib, ... }}: {{ imports = [ {EXAMPLE} ]; {text} }}", library=library)


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
def test_the_same_host_without_misuse_is_not_refused(library: Path) -> None:
    assert host(f"{{ lib, ... }}: {{ imports = [ {EXAMPLE} ]; }}", library=library).units
