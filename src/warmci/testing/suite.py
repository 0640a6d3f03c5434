"""Runs a recipe's own tests: pytest in a process of its own, its verdict read from JUnit XML."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Literal

from pydantic import Field, SecretStr

from warmci.base import fs
from warmci.base.models import Record, TestOutcome
from warmci.base.redaction import Redactor
from warmci.base.text import block, line
from warmci.testing import pytest_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.testing.pytest_process import PytestProcess

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


def begin(tests_dir: Path, work_dir: Path, options: Sequence[str] = (), *, ca: str = "") -> PytestProcess | None:
    """Start pytest before there is an app to test: it collects, and waits. None where there are no tests.

    options: of pytest, beside ours. ca: as of the context that will follow.
    """
    return pytest_process.start(tests_dir.resolve(), work_dir, options, ca=ca) if has_tests(tests_dir) else None


def run_suite(
    tests_dir: Path,
    context: TestContext,
    work_dir: Path,
    timeout_s: float,
    options: Sequence[str] = (),
    *,
    begun: PytestProcess | None = None,
) -> tuple[TestOutcome, ...]:
    """Run tests_dir's pytest files in the context's phase; () when there are none for it.

    begun: a pytest of theirs that waits already; it has ended afterwards.

    Never raises for what tests do: a broken collection, a crash or no end within timeout_s is one failed outcome.
    The last MiB of the output stays in work_dir/pytest-PHASE.log, secrets masked; nothing is written into tests_dir.
    """
    running = begun or begin(tests_dir, work_dir, options, ca=context.ca)
    if running is None:
        return ()
    redact = redactor(context)
    try:
        running.tell(with_secrets(context))
        code = running.wait(timeout_s)
        text = redact(_said(running.log))
        fs.write_atomic(work_dir / log_name(context.phase), text)
        return _outcomes(code, running.junit, text, redact, timeout_s)
    finally:
        running.close()


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
