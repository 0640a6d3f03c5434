"""The units' sandbox lets WarmCI do its job, and what is left out of it would not: docs/nixos.md says why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import nixeval
from support.machine import STATE

if TYPE_CHECKING:
    from support.machine import Machine

pytestmark = pytest.mark.integration

# How the unit is started and what it is given, not what it may do.
_NO_SANDBOX = ("Exec", "Type", "LoadCredential", "Timeout", "RemainAfterExit", "RuntimeMax")
PYTHON = "/opt/warmci/bin/python"


def sandbox() -> dict[str, list[str]]:
    service = nixeval.sections(nixeval.plain_files()["warmci-sweep.service"])["Service"]
    return {key: values for key, values in service.items() if not key.startswith(_NO_SANDBOX)}


def probe(machine: Machine, code: str, **changed: str) -> Any:
    """What Python code, run as the unit would run it, prints as JSON."""
    machine.write("/root/probe.py", code)
    wanted = {**sandbox(), **{key: [value] for key, value in changed.items()}}
    properties = [f"--property={key}={value}" for key, values in wanted.items() for value in values]
    return json.loads(machine.run("systemd-run", "--wait", "--pipe", "--quiet", *properties, PYTHON, "/root/probe.py"))


MAKE_SNAPSHOT = f"""
from pathlib import Path
volume = Path("{STATE}/app/snapshots/one/volumes/data")
volume.mkdir(parents=True, exist_ok=True)
(volume / "file").write_text("known good")
"""

ATTACH = f"""
import json
from pathlib import Path
from warmci.store import attach
done = attach.attach(Path("{STATE}/app/snapshots/one"), Path("{STATE}/.runs/r/attach"), ["data"])
print(json.dumps([done.method, done.reason, str(done.volumes["data"])]))
"""

DETACH = f"""
import json
from pathlib import Path
from warmci.store import attach
attach.detach(Path("{STATE}/.runs/r/attach"))
print(json.dumps("detached"))
"""


@pytest.fixture
def snapshot(machine: Machine) -> Machine:
    machine.write("/root/make.py", MAKE_SNAPSHOT)
    machine.run(PYTHON, "/root/make.py")
    return machine


def mounted(machine: Machine) -> bool:
    """As the engine sees it, outside of the unit."""
    return f"{STATE}/.runs/r/attach" in machine.run("cat", "/proc/mounts")


def test_what_a_unit_attaches_the_engine_sees(snapshot: Machine) -> None:
    method, reason, path = probe(snapshot, ATTACH)
    assert (method, reason) == ("overlay", "")
    assert mounted(snapshot)
    assert snapshot.run("cat", f"{path}/file") == "known good"
    probe(snapshot, DETACH)
    assert not mounted(snapshot)


@pytest.mark.parametrize("directive", ["ProtectSystem=full", "PrivateTmp=true", "ProtectKernelLogs=true"])
def test_with_a_mount_namespace_the_engine_would_see_an_empty_directory(snapshot: Machine, directive: str) -> None:
    key, _, value = directive.partition("=")
    method, _, path = probe(snapshot, ATTACH, **{key: value})
    assert method == "overlay"
    assert not mounted(snapshot)
    assert snapshot.call("cat", f"{path}/file").returncode != 0


def test_with_a_mount_namespace_recovery_would_leave_the_mount(snapshot: Machine) -> None:
    probe(snapshot, ATTACH)
    try:
        assert "mounted inside" in json.dumps(probe(snapshot, USERS.replace("TREE", f"{STATE}/.runs/r")))
        unmount = ("umount", f"{STATE}/.runs/r/attach/m")
        assert snapshot.call("systemd-run", "--wait", "--quiet", "-p", "PrivateTmp=true", *unmount).returncode == 0
        assert mounted(snapshot)
    finally:
        probe(snapshot, DETACH)


USERS = """
import json
from pathlib import Path
from warmci.store.quiesce import mount_users
print(json.dumps(mount_users(Path("TREE"))))
"""


def test_a_container_of_another_user_is_seen_and_only_by_sys_ptrace(snapshot: Machine) -> None:
    tree = f"{STATE}/app/snapshots/one/volumes/data"
    look = USERS.replace("TREE", tree)
    container = f"mkdir -p /mnt/v && mount --bind {tree} /mnt/v && exec setpriv --reuid 70 --clear-groups sleep 120"
    start = ["systemd-run", "--quiet", "--unit=container", "--collect", "-p", "PrivateMounts=yes"]
    snapshot.run(*start, "sh", "-c", container)
    try:
        seen = f"/mnt/v (pid {snapshot.show('container.service', 'MainPID')[0]})"
        snapshot.wait("mount of the container", lambda: seen in probe(snapshot, look))
        (all_of_it,) = sandbox()["CapabilityBoundingSet"]
        without = all_of_it.replace("CAP_SYS_PTRACE ", "")
        assert without != all_of_it
        assert probe(snapshot, look, CapabilityBoundingSet=without) == []
    finally:
        snapshot.systemctl("stop", "container.service")


COPY = f"""
import json, os, stat
from pathlib import Path
from warmci.store import manifest
from warmci.store.snapshot import copy_volumes
source, target = Path("{STATE}/source"), Path("{STATE}/target")
(source / "data").mkdir(parents=True)
target.mkdir()
def make(name, mode, owner=0):
    path = source / "data" / name
    path.write_text(name)
    os.chown(path, owner, owner)
    path.chmod(mode)
    return path
make("setuid", 0o4755, 70)
make("setgid", 0o2750, 70)
make("unreadable", 0o000, 70)
os.setxattr(make("capable", 0o755), "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
os.setxattr(make("trusted", 0o600), "trusted.x", b"y")
os.mkfifo(source / "data" / "fifo")
os.mknod(source / "data" / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
(source / "data" / "sticky").mkdir(mode=0o777)
(source / "data" / "sticky").chmod(0o3777)
copy_volumes(source, target, ["data"])
def facts(tree):
    return [
        (path.name, oct(path.lstat().st_mode), path.lstat().st_uid, path.lstat().st_rdev, path.lstat().st_mtime_ns,
         {{name: os.getxattr(path, name).hex() for name in os.listxattr(path)}})
        for path in sorted((tree / "data").iterdir())
    ]
print(json.dumps([facts(source), facts(target)]))
"""


def test_a_copy_is_the_same_file_for_file(machine: Machine) -> None:
    source, target = probe(machine, COPY)
    assert len(source) == 8
    assert target == source
    assert {entry[0]: entry[1] for entry in target}["setuid"] == "0o104755"


def test_with_restrict_suid_sgid_a_copy_would_not_be_the_same(machine: Machine) -> None:
    machine.write("/root/probe.py", COPY)
    properties = [f"--property={key}={value}" for key, values in sandbox().items() for value in values]
    properties.append("--property=RestrictSUIDSGID=true")
    refused = machine.call("systemd-run", "--wait", "--pipe", "--quiet", *properties, PYTHON, "/root/probe.py")
    assert refused.returncode != 0
    assert "Operation not permitted" in refused.stderr


def test_it_gets_none_of_what_it_never_needs(machine: Machine) -> None:
    answers = probe(machine, TRIES)
    assert set(answers.values()) == {"refused"}, answers
    assert len(answers) == 6


TRIES = """
import ctypes, json, os, socket, subprocess, time
libc = ctypes.CDLL(None, use_errno=True)
def setns():
    if libc.setns(os.open("/proc/1/ns/net", os.O_RDONLY), 0x40000000): raise OSError(ctypes.get_errno(), "setns")
def unshare():
    if libc.unshare(0x00020000): raise OSError(ctypes.get_errno(), "unshare")
def swap():
    if libc.swapoff(b"/nonexistent"): raise OSError(ctypes.get_errno(), "swapoff")
tries = {
    "clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "hostname": lambda: socket.sethostname("x"),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "namespace": setns,
    "mount namespace": unshare,
    "swap": swap,
}
answers = {}
for name, attempt in tries.items():
    try:
        attempt()
        answers[name] = "done"
    except OSError as error:
        answers[name] = "refused" if error.errno in (1, 97) else str(error)
print(json.dumps(answers))
"""
