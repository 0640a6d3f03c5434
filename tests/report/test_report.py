"""Reports: valid, escaped, the same words everywhere, and the mode in each of them."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from support.results import fallback_pass, never_ran, promotion_failed, quick_fail, result
from warmci.base.models import RunResult, StageResult, TestOutcome, Verdict
from warmci.report import words
from warmci.report.console import Console
from warmci.report.html import page
from warmci.report.junit import junit
from warmci.run import record

GOLDEN = Path(__file__).parents[1] / "data" / "report"
SAMPLES = {
    "pass": result(),
    "quick-fail": quick_fail(),
    "fallback": fallback_pass(),
    "promotion-failed": promotion_failed(),
    "busy": never_ran(),
}

# What pytest's own schema (testing/example_scripts/junit-10.xsd) allows: element to children, required attributes and
# other attributes.
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "skipped": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}
MIXED = {"failure", "error", "skipped", "system-out"}
TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?")


def faults(element: ET.Element) -> list[str]:
    """What in a JUnit file that schema does not allow."""
    children, required, optional = SCHEMA[element.tag]
    names = set(element.attrib)
    found = [f"{element.tag}: no {name}" for name in required - names]
    found += [f"{element.tag}: {name}" for name in names - required - optional]
    found += [f"{element.tag} holds {child.tag}" for child in element if child.tag not in children]
    if element.tag in {"testsuites", "testsuite"} and not TIME.fullmatch(element.get("time", "")):
        found.append(f"time {element.get('time')}")
    if element.tag not in MIXED and (element.text or "").strip():
        found.append(f"text in {element.tag}")
    return found + [fault for child in element for fault in faults(child)]


def parsed(made: RunResult) -> ET.Element:
    return ET.fromstring(junit(made))  # noqa: S314  (our own)


def test_the_check_of_the_schema_finds_what_is_wrong() -> None:
    text = '<testsuites time="1s"><testsuite name="x"><testcase time="1"><other/></testcase>y</testsuite></testsuites>'
    wrong = "\n".join(faults_of(text))
    for word in ("time 1s", "no tests", "testcase: no name", "holds other"):
        assert word in wrong


def faults_of(text: str) -> list[str]:
    root = ET.fromstring(text)  # noqa: S314
    SCHEMA["other"] = (set(), set(), set())
    try:
        return faults(root)
    finally:
        del SCHEMA["other"]


@pytest.mark.parametrize("name", SAMPLES)
def test_junit_fits_the_schema_and_counts_right(name: str) -> None:
    root = parsed(SAMPLES[name])
    assert faults(root) == []
    cases = root.findall(".//testcase")
    assert root.get("tests") == str(len(cases))
    for kind in ("failure", "error"):
        assert root.get(f"{kind}s") == str(sum(case.find(kind) is not None for case in cases))


@pytest.mark.parametrize("verdict", Verdict)
def test_junit_is_red_unless_the_run_passed(verdict: Verdict) -> None:
    """The recipe's fault is a failure, any other an error."""
    root = parsed(result(verdict, summary="why"))
    is_recipes = verdict in {Verdict.FAIL, Verdict.REFUSED}
    assert root.get("failures") == ("1" if is_recipes else "0")
    assert root.get("errors") == ("0" if is_recipes or verdict is Verdict.PASS else "1")
    if verdict is not Verdict.PASS:
        fault = root.find(".//failure" if is_recipes else ".//error")
        assert fault is not None
        assert fault.get("type") == verdict
        assert fault.get("message") == "why"
        assert words.meaning(result(verdict)) in str(fault.text)


def stage(outcome: str, *tests: TestOutcome) -> StageResult:
    return StageResult.model_validate(
        {"name": "tests", "outcome": outcome, "seconds": 1, "detail": "x", "tests": tests}
    )


RED_TEST = TestOutcome(
    name="t::title", outcome="failed", seconds=1, reason="AssertionError: no title", message="E\nt.py:3", output="said"
)


def test_one_fault_counts_once_and_tells_its_reason() -> None:
    root = parsed(
        result(Verdict.FAIL, summary="t::title: AssertionError: no title", stages=(stage("failed", RED_TEST),))
    )
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "0")
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert case.get("name") == "t::title"
    assert case.findtext("system-out") == "said"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "AssertionError: no title"


def test_what_failed_and_was_tried_again_is_no_fault() -> None:
    root = parsed(result(stages=(stage("failed", RED_TEST), stage("ok"))))
    assert (root.get("failures"), root.get("errors")) == ("0", "0")


def test_a_test_that_infrastructure_failed_is_an_error() -> None:
    away = RED_TEST.model_copy(update={"infrastructure": "Keycloak is away"})
    root = parsed(result(Verdict.INFRA, summary="x", stages=(stage("failed", away),)))
    assert (root.get("failures"), root.get("errors")) == ("0", "1")
    error = root.find(".//error")
    assert error is not None
    assert error.get("message") == "Keycloak is away"


def test_cases_are_called_the_same_in_the_next_run() -> None:
    """A CI's test history goes by their names."""
    first, other = (
        quick_fail(),
        quick_fail().model_copy(update={"run": "20261125T000000Z-0f0f0f", "head_version": "9.9.9+1"}),
    )
    names = [
        [(case.get("classname"), case.get("name")) for case in parsed(made).iter("testcase")] for made in (first, other)
    ]
    assert names[0] == names[1]
    assert not re.search(r"\d+\.\d+\.\d+", str(names))


def test_a_tests_output_is_called_that() -> None:
    made = result(Verdict.FAIL, stages=(stage("failed", RED_TEST),), log_excerpt=f"{RED_TEST.message}\nsaid")
    assert words.log_title(made) == "the failed test's output"
    assert "The failed test&#x27;s output" in page(made)
    assert words.log_title(quick_fail()) == "the failing task's log"


@pytest.mark.parametrize("name", SAMPLES)
def test_every_report_carries_the_mode(name: str) -> None:
    made = SAMPLES[name]
    mode = words.mode_of(made)
    root = parsed(made)
    assert root.get("name") == f"warmci.{mode}.miniflux"
    assert all(str(case.get("classname")).startswith(f"warmci.{mode}.miniflux") for case in root.iter("testcase"))
    assert f'<span class="badge mode">{mode}</span>' in page(made)
    assert f" {mode} " in words.headline(made)


def test_quick_says_that_it_is_less_everywhere() -> None:
    for text in (junit(quick_fail()), page(quick_fail()), "\n".join(words.notes(quick_fail()))):
        assert "lower confidence, does not gate a merge" in text
    assert "lower confidence" not in junit(result()) + page(result())


def test_a_fallback_is_said_everywhere() -> None:
    said = "requested: quick, ran: cold, because: there is no canonical of miniflux"
    for text in (junit(fallback_pass()), page(fallback_pass()), "\n".join(words.notes(fallback_pass()))):
        assert said in text


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("kind", ["xml", "html"])
def test_golden(name: str, kind: str) -> None:
    """UPDATE_GOLDEN=1 writes them anew; look at the difference, and at the page in a browser."""
    text = junit(SAMPLES[name]) if kind == "xml" else re.sub(r"WarmCI [^,<]+,", "WarmCI X,", page(SAMPLES[name]))
    path = GOLDEN / f"{name}.{kind}"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


class Seen(HTMLParser):
    """Elements and text of a page; fails on one that is not closed where it should be."""

    VOID = {"meta"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name == "src" or name.startswith("on")]
        assert all(str(to).startswith("./") and ".." not in str(to) for name, to in attrs if name == "href")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Seen:
    seen = Seen()
    seen.feed(html)
    seen.close()
    assert seen.open == []
    return seen


def test_logs_lose_their_colours() -> None:
    for text in (junit(quick_fail()), page(quick_fail())):
        assert "[31m" not in text
        assert "exit 1" in text


def test_a_page_stands_alone() -> None:
    html = page(quick_fail())
    assert not re.search(r"https?://|url\(|@import|<script|<link|<img", html)
    assert {"dl", "details", "pre"} <= set(read(html).tags)


def test_a_run_leaves_its_reports_beside_the_result(tmp_path: Path) -> None:
    record.write(tmp_path, quick_fail(), Console())
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "junit.xml", "report.html"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert RunResult.model_validate_json((tmp_path / "result.json").read_bytes()) == quick_fail()
    assert (tmp_path / "junit.xml").read_text(encoding="utf-8") == junit(quick_fail())
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(quick_fail(), tmp_path)


def test_reports_that_cannot_be_written_are_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record.write(tmp_path / "gone", quick_fail(), Console())
    assert f"warning: {tmp_path / 'gone'}: reports are incomplete" in capsys.readouterr().err


def test_screenshots_are_within_the_page_beside_the_run_alone(tmp_path: Path) -> None:
    shown = {
        "screenshot-fresh.jpg": "https://a.example/ after <install>",
        "screenshot-upgrade.jpg": "no screenshot: <why>",
    }
    made = result(screenshots=shown)
    (tmp_path / "screenshot-fresh.jpg").write_bytes(b"\xff\xd8\xff\x00")
    beside = page(made, tmp_path)
    assert 'src="data:image/jpeg;base64,/9j/AA==" alt="https://a.example/ after &lt;install&gt;"' in beside
    assert "<p>no screenshot: &lt;why&gt;</p>" in beside
    assert "img-src data:;" in beside
    assert "creenshot" not in page(made)  # as the overview publishes it
