"""Running tools: their environment, their end, and what is told of a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from warmci.base import process
from warmci.base.errors import InfraError


def sh(
    script: str, *, timeout_s: float = 10, env: dict[str, str] | None = None, check: bool = True
) -> process.Completed:
    return process.run(["sh", "-c", script], timeout_s=timeout_s, env=env, check=check)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_dead(pid: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_alive(pid)


def test_both_streams_and_the_code() -> None:
    done = sh("echo out; echo err >&2; exit 3", check=False)
    assert done == process.Completed(3, "out\n", "err\n")


def test_only_the_allow_list_reaches_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://stranger")
    monkeypatch.setenv("LD_PRELOAD_OF_A_RECIPE", "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    seen = dict(
        line.partition("=")[::2] for line in process.run(["env"], timeout_s=5, env={"OURS": "1"}).stdout.split("\n")
    )
    assert seen["OURS"] == "1"
    assert seen["LANG"] == "C.UTF-8"
    assert seen["PATH"] == os.environ["PATH"]
    assert not {"DOCKER_HOST", "LD_PRELOAD_OF_A_RECIPE", "WARMCI_STATE_DIR"} & set(seen)


def test_a_failure_tells_the_last_line_and_keeps_the_tail() -> None:
    with pytest.raises(process.CommandError, match=r"^sh failed \(7\): line 40$") as caught:
        sh("for i in $(seq 40); do echo line $i >&2; done; exit 7")
    error = caught.value
    assert isinstance(error, InfraError)
    assert (error.returncode, error.argv[0]) == (7, "sh")
    assert error.tail.splitlines() == [f"line {number}" for number in range(16, 41)]


def test_a_silent_failure_and_one_that_speaks_on_stdout() -> None:
    with pytest.raises(process.CommandError, match="no output"):
        sh("exit 1")
    with pytest.raises(process.CommandError, match="only here"):
        sh("echo only here; exit 1")


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(InfraError) as caught:
        process.run(["no-such-tool-of-warmci"], timeout_s=5)
    assert "no-such-tool-of-warmci" in caught.value.message


def test_a_missing_tool_is_named_in_a_daemon_too(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="no-such-tool-of-warmci is not installed"):
        process.start(["no-such-tool-of-warmci"], log_file=tmp_path / "log", daemon=True)


def test_a_tool_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(process.CommandError, match=r"no end after 0 s: sh -c .*sleep") as caught:
        sh(f"echo $$ > {tmp_path}/pid; exec sleep 60", timeout_s=0.2)
    assert time.monotonic() - begin < 4
    assert caught.value.returncode == -1
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_tool_that_ignores_the_interrupt_is_killed() -> None:
    script = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    child = process.start([sys.executable, "-c", script])
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    process.stop(child, grace_s=0.1)
    assert child.returncode == -signal.SIGKILL
    child.communicate()


def test_stdin_and_odd_bytes() -> None:
    assert process.run(["cat"], timeout_s=5, stdin="hällo\n").stdout == "hällo\n"
    assert sh(r"printf 'a\377b'").stdout == "a\ufffdb"


def test_it_runs_where_it_is_told_to(tmp_path: Path) -> None:
    assert process.run(["pwd"], timeout_s=5, cwd=tmp_path).stdout.strip() == str(tmp_path)


def test_descriptors_are_passed_only_when_named(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    try:
        assert process.run(["test", "-e", f"/proc/self/fd/{fd}"], timeout_s=5, check=False).returncode == 1
        assert process.run(["test", "-e", f"/proc/self/fd/{fd}"], timeout_s=5, pass_fds=[fd]).returncode == 0
    finally:
        os.close(fd)


PARENT = """
import sys, time
from pathlib import Path
from warmci.base import process
child = process.start(["sleep", "60"], daemon=sys.argv[2] == "daemon", log_file=Path(sys.argv[1]) / "log")
(Path(sys.argv[1]) / "pid.new").write_text(str(child.pid))
(Path(sys.argv[1]) / "pid.new").rename(Path(sys.argv[1]) / "pid")
time.sleep(60)
"""


@pytest.mark.parametrize(("kind", "survives"), [("tool", False), ("daemon", True)])
def test_a_killed_run_leaves_no_tool_behind(tmp_path: Path, kind: str, survives: bool) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), kind])
    end = time.monotonic() + 10
    while not (tmp_path / "pid").exists() and time.monotonic() < end:
        time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    try:
        assert is_alive(child)
        parent.kill()
        parent.wait()
        assert until_dead(child, 0.2 if survives else 30.0) is not survives
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


def test_a_daemon_has_its_own_session_and_writes_to_its_log(tmp_path: Path) -> None:
    daemon = process.start(["sh", "-c", "ps -o sid= -p $$; echo err >&2"], log_file=tmp_path / "log", daemon=True)
    assert process.wait(daemon, timeout_s=5) == 0
    session, said = (tmp_path / "log").read_text().split()
    assert int(session) == daemon.pid != os.getsid(0)
    assert said == "err"


def test_waiting_has_an_end() -> None:
    child = process.start(["sleep", "60"])
    assert process.wait(child, timeout_s=0.05) is None
    process.stop(child)
    assert process.wait(child, timeout_s=1) == -signal.SIGTERM
    process.stop(child)  # a second time is fine
    child.communicate()


def test_a_tool_that_talks_without_an_end_is_stopped() -> None:
    for argv in (["yes"], ["sh", "-c", "yes >&2"]):
        with process.start(argv) as running, pytest.raises(process.OutputError, match="more than 100000 bytes"):
            process.finish(running, argv, timeout_s=20, most_bytes=100_000)
        assert running.returncode is not None


def test_bounded_output_is_the_same_as_unbounded() -> None:
    argv = ["sh", "-c", "printf 'a\\377b'; echo why >&2; exit 3"]
    with process.start(argv) as running:
        done = process.finish(running, argv, timeout_s=20, check=False, most_bytes=1000)
    assert done == process.run(argv, timeout_s=20, check=False)
    with process.start(["sleep", "60"]) as running, pytest.raises(process.CommandError, match="no end after"):
        process.finish(running, ["sleep"], timeout_s=0.2, most_bytes=1000)
