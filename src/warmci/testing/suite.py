"""Runs a recipe's own tests: pytest in a process of its own, its verdict read from JUnit XML."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, SecretStr

from warmci.base import fs, process, trust
from warmci.base.models import Record, TestOutcome
from warmci.base.redaction import Redactor
from warmci.base.text import block, line

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTEXT_VARIABLE = "WARMCI_TEST_CONTEXT"
COLLECTED_VARIABLE = "WARMCI_COLLECTED"
"""Where the plugin leaves what it collected, in a run that only collects."""
INFRASTRUCTURE = "warmci-infrastructure"
"""A test's property in JUnit XML: it failed by an InfraError, of these words."""
Phase = Literal["install", "base", "upgrade", "quick"]
_MESSAGE_MAX = 2000
_REASON_MAX = 300
_OUTPUT_MAX = 8000
"""Characters of what one failed test printed; all of it is in the log."""
_LOG_MAX = 2**20
NO_TESTS = 5
_RAN = (0, 1)
"""pytest's exit codes: all passed, some failed. 5 is: none selected; others tell that the run itself broke."""
_FRAMES = 8
_RUNNING_TEST = re.compile(r"^([^\s:]+\.py::\S+) ", re.MULTILINE)
_HEADING = re.compile(r"-+ Captured \w+ -+$")
"""Above what a test printed or logged, nothing perhaps."""
_PLACE = re.compile(r"\S+\.py:\d+: ")
_UNUSED_PLUGINS = ("cacheprovider", "doctest", "pastebin", "stepwise", "setuponly", "setupplan", "legacypath")


class SsoUser(Record):
    username: str
    password: SecretStr
    email: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class SsoContext(Record):
    """The run's realm as tests see it."""

    issuer: str
    realm: str
    client_id: str
    client_secret: SecretStr
    users: tuple[SsoUser, ...] = Field(min_length=1)
    """The first is the one who logs in where a test names nobody."""
    clients: dict[str, SecretStr] = {}
    """Further clients of the realm and their secrets."""
    login_timeout_s: float = 120.0


class TestContext(Record):
    """What the fixtures of pytest_plugin need; written 0600 for the time of one pytest run."""

    __test__ = False  # a record, not a test class

    recipe: str
    run: str
    phase: Phase
    url: str
    domain: str
    base_domain: str
    address: str
    """Where names below base_domain are to be found."""
    ca: str = ""
    """PEM of the CA that their certificates are of, where it is our own."""
    stack: str
    docker_host: str
    secrets: dict[str, SecretStr] = {}
    """Secret name (as the recipe calls it, without its version) to value."""
    sso: SsoContext | None = None
    deps: dict[str, str] = {}
    """Dependency to its URL."""


def run_suite(
    tests_dir: Path, context: TestContext, work_dir: Path, timeout_s: float, options: Sequence[str] = ()
) -> tuple[TestOutcome, ...]:
    """Run tests_dir's pytest files in the context's phase; () when there are none for it.

    options: of pytest, beside ours.

    Never raises for what tests do: a broken collection, a crash or no end within timeout_s is one failed outcome.
    The last MiB of the output stays in work_dir/pytest-PHASE.log, secrets masked; nothing is written into tests_dir.
    """
    if not has_tests(tests_dir):
        return ()
    redact = redactor(context)
    work_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"pytest-{context.phase}-", dir=work_dir))
    try:
        log = scratch / "log"
        code = _run_pytest(tests_dir.resolve(), context, scratch, log, timeout_s, options)
        text = redact(_said(log))
        fs.write_atomic(work_dir / log_name(context.phase), text)
        return _outcomes(code, scratch / "junit.xml", text, redact, timeout_s)
    finally:
        fs.remove_tree(scratch)


def with_plugins(plugins: Sequence[str]) -> list[str]:
    """Options of pytest that load these modules."""
    return [argument for plugin in plugins for argument in ("-p", plugin)]


def has_tests(tests_dir: Path) -> bool:
    return any(tests_dir.glob("**/test_*.py")) or any(tests_dir.glob("**/*_test.py"))


def with_secrets(record: Record) -> str:
    """As JSON that is read back in full; for files of 0600 alone."""
    return json.dumps(record.model_dump(mode="python"), default=_plain)


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def log_name(phase: str) -> str:
    return f"pytest-{phase}.log"


def _said(log: Path) -> str:
    """The end of what pytest and the tests wrote: an app's words may be among them, of any length."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_MAX))
        return block(file.read(_LOG_MAX).decode(errors="replace"), _LOG_MAX)


def _run_pytest(
    tests_dir: Path, context: TestContext, scratch: Path, log: Path, timeout_s: float, options: Sequence[str]
) -> int | None:
    """The exit code; None without an end in time. The log goes to a file, so that a hanging test is seen in it."""
    context_file = scratch / "context.json"
    fs.write_atomic(context_file, with_secrets(context))
    log.touch(mode=0o600)
    running = process.start(
        _command(tests_dir, scratch, options),
        cwd=tests_dir,
        env=environment({CONTEXT_VARIABLE: str(context_file), **_trusting(scratch, context.ca)}),
        log_file=log,
    )
    try:
        return process.wait(running, timeout_s=timeout_s)
    finally:
        process.stop(running)


def _command(tests_dir: Path, scratch: Path, options: Sequence[str]) -> list[str]:
    switched_off = [argument for plugin in _UNUSED_PLUGINS for argument in ("-p", f"no:{plugin}")]
    return [
        *(sys.executable, "-P", "-m", "pytest", "-p", "warmci.testing.pytest_plugin", *switched_off),
        *("-c", os.devnull, f"--rootdir={tests_dir}", f"--confcutdir={tests_dir}"),
        *("--verbose", "--color=no", "--tb=short", "--capture=sys"),
        *("-o", "junit_logging=all", "-o", "junit_log_passing_tests=false"),
        *(f"--basetemp={scratch / 'tmp'}", f"--junitxml={scratch / 'junit.xml'}"),
        *options,
        str(tests_dir),
    ]


def collecting(tests_dir: Path, scratch: Path, plugins: Sequence[str]) -> list[str]:
    """A pytest that runs nothing."""
    return _command(tests_dir, scratch, (*with_plugins(plugins), "--collect-only", "--quiet"))


def _trusting(scratch: Path, ca: str) -> dict[str, str]:
    """Also a client that is a test's own (requests, curl, a browser's driver) is to trust the app."""
    return dict.fromkeys(trust.VARIABLES, str(trust.provide(scratch / "trust", ca) / trust.PEM)) if ca else {}


def environment(facts: dict[str, str]) -> dict[str, str]:
    """Of a pytest of ours."""
    return {
        **facts,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # Where packages reach us by a wrapper (Nix), the bare interpreter would not find them.
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


def _outcomes(code: int | None, junit: Path, log: str, redact: Redactor, timeout_s: float) -> tuple[TestOutcome, ...]:
    if code is None:
        return (_broken(f"no end after {timeout_s:.0f} s{_where(log)}", ""),)
    if code not in {*_RAN, NO_TESTS}:
        reason = f"killed by signal {-code}" if code < 0 else f"could not run all tests (exit code {code})"
        return (_broken(f"pytest {reason}", log),)
    try:
        cases = ET.parse(junit).getroot().iter("testcase")  # noqa: S314  (written by our own pytest just now)
        outcomes = tuple(_outcome(case, redact) for case in cases)
    except (OSError, ET.ParseError):
        return (_broken("pytest ended before its report was written", log),)
    if code == NO_TESTS:
        return ()
    if not outcomes or (code == 1 and not any(outcome.outcome == "failed" for outcome in outcomes)):
        return (*outcomes, _broken(f"pytest ended with code {code}, and its report does not tell why", log))
    return outcomes


def _where(log: str) -> str:
    """The test that was running, and the innermost frames of the stack that faulthandler wrote at its end."""
    tests = _RUNNING_TEST.findall(log)
    _, _, stack = log.rpartition("(most recent call first):\n")
    return (f" in {tests[-1]}\n" if tests else "\n") + "\n".join(stack.splitlines()[:_FRAMES])


def _broken(reason: str, log: str) -> TestOutcome:
    message = _clipped(f"{reason}\n{_essence(log)}".strip())
    return TestOutcome(name="pytest", outcome="failed", seconds=0.0, reason=_headline(message), message=message)


def _headline(text: str) -> str:
    return line(text.strip().partition("\n")[0], _REASON_MAX)


def _outcome(case: ET.Element, redact: Redactor) -> TestOutcome:
    name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
    outcome: Literal["passed", "failed", "skipped"] = "passed"
    reason = message = infrastructure = ""
    for child in case:
        if child.tag in {"failure", "error"}:
            outcome, message = "failed", _failure(child)
            reason = _headline(child.get("message") or message)
        elif child.tag == "skipped" and outcome == "passed":
            outcome, message = "skipped", child.get("message") or ""
    for fact in case.iterfind("properties/property"):
        if fact.get("name") == INFRASTRUCTURE:
            infrastructure = fact.get("value") or "unknown"
    return TestOutcome(
        name=redact(name),
        outcome=outcome,
        seconds=float(case.get("time") or 0.0),
        reason=redact(reason),
        message=_clipped(redact(message)),
        output=_output(case, redact) if outcome == "failed" else "",
        infrastructure=_clipped(redact(infrastructure)) if outcome == "failed" else "",
    )


def _output(case: ET.Element, redact: Redactor) -> str:
    said = (case.findtext(tag) or "" for tag in ("system-out", "system-err"))
    lines = [line for text in said for line in text.strip().splitlines() if line.strip()]
    following = [*lines, "--- "][1:]
    kept = [
        line for line, after in zip(lines, following, strict=True) if not (_HEADING.match(line) and "--- " in after)
    ]
    return block(redact("\n".join(kept)), _OUTPUT_MAX)


def _failure(element: ET.Element) -> str:
    return _essence(element.text or "") or element.get("message") or "no reason given"


def _essence(text: str) -> str:
    """The lines that pytest marks with E, and the last place before them; all of it when there are none."""
    lines = text.strip().splitlines()
    marked = [said[1:].strip() for said in lines if said.startswith("E ")]
    places = [said for said in lines if _PLACE.match(said)]
    return "\n".join([*marked, *places[-1:]] if marked else lines)


def _clipped(text: str) -> str:
    """The first line says what failed, the end tells the most."""
    if len(text) <= _MESSAGE_MAX:
        return text
    first = text.splitlines()[0][: _MESSAGE_MAX // 4]
    return f"{first}\n…\n{text[-(_MESSAGE_MAX - len(first) - 3) :]}"


def redactor(context: TestContext) -> Redactor:
    values = [*context.secrets.values()]
    if context.sso:
        values += [context.sso.client_secret, *context.sso.clients.values()]
        values += [user.password for user in context.sso.users]
    found = Redactor()
    found.add(*(value.get_secret_value() for value in values))
    return found
