"""The kinds of cause, fed with lines of real programs."""

from __future__ import annotations

import time

import pytest

from warmci.base.cause_of import find_cause
from warmci.base.causes import CATALOGUE

CONFIGURATION = "configuration not understood"


@pytest.mark.parametrize(
    ("message", "log", "kind"),
    [
        ("no such image: x:1; docker.io says: manifest unknown", "", "missing image"),
        ("image a/b:1 cannot be pulled from ghcr.io: toomanyrequests", "", "registry in trouble"),
        ("no node can run app: no suitable node (insufficient resources on 1 node)", "", "no node"),
        ("service app crash-loops (3 tasks): exit 137: the kernel killed it, out of memory (OOM)", "", "out of memory"),
        ("x crash-loops (2 tasks): dd: error writing '/t/x': No space left on device", "", "disk full in the app"),
        ("x does not serve: nothing listens on port 8080; the app listens on :: port 9000", "", "wrong port"),
        ("x does not serve: the app listens on loopback only: 127.0.0.1 port 80", "", "listener on loopback"),
        ("swarm refuses the stack: only updates to Labels are allowed", "", "unbumped config"),
        ("app crash-loops (2 tasks): cat: can't open '/run/secrets/db_password': No such file", "", "missing secret"),
        ("service app crash-loops (2 tasks): fatal: DB_HOST is not set", "", "missing variable"),
        ("app crash-loops (2 tasks): sh: DB_HOST: parameter not set", "", "missing variable"),
        ("app crash-loops", 'pq: password authentication failed for user "app"', "login refused by the database"),
        ("app crash-loops", 'could not translate host name "db" to address', "name not resolved"),
        ("app crash-loops: dial tcp 10.0.0.2:5432: connect: connection refused", "", "other service not reached"),
        ("app crash-loops: health check (exit 1): wget: Connection refused", "", "never healthy"),
        ("app crash-loops: exec: gunicorn: executable file not found in $PATH", "", "program not found"),
        ("app crash-loops", "mkdir /data/x: permission denied", "permission denied"),
        ("rolled back: [Migration v119] pq: must be owner of extension hstore", "", "migration failed"),
        ("data in volume a survived: a file put into a before the upgrade is gone", "", "data lost"),
        ("swarm rolled back: health check (exit 1): closed", "starting", "never healthy"),
        ("service worker ends by itself again and again (2 tasks): done", "done", "ends by itself"),
        ("service worker crash-loops (2 tasks): bye", "bye", "crash loop"),
        ("service app failed 12 s after its start, though it had converged: bye", "bye", "late fault"),
        ("update of app failed: its new task ended: bye", "bye", "crash loop"),
        ("update of app failed: its new task ended: bye", "fatal: DB_HOST is not set", "missing variable"),
        ("service job has failed and is not started again by its restart policy: no", "no", "crash loop"),
        ('swarm refuses the stack: service app: undefined secret "key"', "", "missing secret"),
        ("refused: services.app mounts /etc of the host", "", "refused"),
        ("compose.yml: yaml: line 2: found character that cannot start any token", "", "recipe's files"),
        ("compose.yml: services.app.environment: unknown directive", "", "recipe's files"),
        (".env.sample:2: the value of A holds a NUL byte", "", "recipe's files"),
        ("configs.c: ./c lies outside the recipe", "", "recipe's files"),
        ("app crash-loops: task: non-zero exit (127)", "", "program not found"),
        ("app crash-loops: Error: Cannot find module 'express'", "", "module not found"),
        (
            "app crash-loops: x",
            "FileNotFoundError: [Errno 2] No such file or directory: '/etc/app.ini'",
            "file not found",
        ),
        ("app crash-loops: x", "Error: getaddrinfo ENOTFOUND db", "name not resolved"),
        ("app crash-loops: x", "ModuleNotFoundError: No module named 'app.wsgi'", "module not found"),
        ("app crash-loops: ld: error while loading shared libraries: libpq.so.5", "", "module not found"),
        (
            "app crash-loops: unable to find user app: no matching entries",
            "",
            "no such user",
        ),
        ("app crash-loops: listen tcp :8080: bind: address already in use", "", "port in use"),
        (
            "app crash-loops: Get https://sso: x509: certificate signed by unknown authority",
            "",
            "certificate not trusted",
        ),
        ("app crash-loops: nginx: [emerg] unknown directive 'serverr' in /etc/nginx.conf:3", "", CONFIGURATION),
        ("app crash-loops: error: unknown option '--datadir'", "", CONFIGURATION),
        ("app crash-loops: task: non-zero exit (139)", "starting", "crash in native code"),
        ("app crash-loops: task: non-zero exit (137)", "starting", "killed"),
        ("app crash-loops: task: non-zero exit (137)", "fatal: DB_HOST is not set", "missing variable"),
        ("no node can run app: Range of CPUs is from 0.01 to 2.00", "", "no node"),
        ("swarm refuses the stack: invalid memory value 1048576: Must be at least 4MiB", "", "not accepted by swarm"),
        (
            "swarm rejects the tasks of j: invalid mount target, must be an absolute path: d:/d",
            "",
            "not accepted by swarm",
        ),
        ("serves /: http://x/ does not serve after 60 s; last: HTTP 503", "hello", "answers with an error"),
        (
            "serves /: http://x/ does not serve after 60 s; last: HTTP 500",
            "no such table: y\nEACCES",
            "permission denied",
        ),
        (
            "serves /: http://x/ does not serve after 60 s; last: HTTP 503: no task answers at the",
            "",
            "answers nothing",
        ),
        ("serves /: http://x/ does not serve after 60 s; last: ReadTimeout: timed out", "", "answers nothing"),
        ("x did not converge within 600 s; last seen: app 0/1", "", "too slow"),
    ],
)
def test_each_kind_is_recognised(message: str, log: str, kind: str) -> None:
    found = find_cause(message, log)
    assert found is not None
    assert found.kind == kind
    assert found.help
    assert found.line in f"{message}\n{log}"


def test_the_catalogue_has_each_name_once() -> None:
    names = [kind.name for kind in CATALOGUE]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("log", ["", "hello", "GET / 200\nlistening on 0.0.0.0:80"])
def test_what_tells_nothing_has_no_kind(log: str) -> None:
    assert find_cause("serves /: HTTP 418", log) is None


@pytest.mark.parametrize(
    "unit",
    [
        "migrat ",
        "fail ",
        "/run/secrets/",
        "no such file ",
        "exec: ",
        "bind()",
        "A_B ",
        "A_",
        "secret ",
        "class x ",
        "table ",
    ],
)
def test_a_strangers_long_line_costs_seconds_at_most(unit: str) -> None:
    began = time.process_time()
    find_cause("service app crash-loops (2 tasks): no word", unit * (65_536 // len(unit)))
    assert time.process_time() - began < 10
