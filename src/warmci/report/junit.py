"""JUnit XML of one result, for whatever a CI shows test reports with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from warmci.report import words
from warmci.report.history import RED

if TYPE_CHECKING:
    from warmci.base.models import RunResult, StageResult, TestOutcome


def junit(result: RunResult) -> str:
    """Each stage and each of its tests is a test case, and the verdict is the last one; one fault is in one of them.

    Their names hold no version and no run's id, so that a CI sees the same case in the next run.
    """
    name = words.suite_name(result)
    cases = [case for stage in result.stages for case in _stage_cases(name, result, stage)]
    cases.append(_verdict_case(name, result, told=_count(cases, "failure") + _count(cases, "error") > 0))
    counts = {
        "tests": str(len(cases)),
        "failures": str(_count(cases, "failure")),
        "errors": str(_count(cases, "error")),
        "time": f"{result.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": name, **counts})
    skipped = str(_count(cases, "skipped"))
    started = result.started.strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts, "skipped": skipped, "timestamp": started})
    properties = ET.SubElement(suite, "properties")
    said = {**words.facts(result), "verdict": result.verdict, "note": "; ".join(words.notes(result))}
    for label, value in said.items():
        ET.SubElement(properties, "property", {"name": label, "value": value})
    suite.extend(cases)
    if result.log_excerpt:
        ET.SubElement(suite, "system-out").text = result.log_excerpt
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _count(cases: list[ET.Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)


def _stage_cases(suite: str, result: RunResult, stage: StageResult) -> list[ET.Element]:
    """The stage and its tests; what failed by its tests alone is counted with them."""
    own = _case(suite, stage.name, stage.seconds)
    tests = [_test_case(f"{suite}.{stage.name}", result, test) for test in stage.tests]
    if stage.outcome == "skipped":
        _skipped(own, stage.detail)
    elif stage.outcome == "failed" and words.is_green(result):
        _skipped(own, f"failed, and was tried again: {stage.detail}")
    elif stage.outcome == "failed" and any(test.outcome == "failed" for test in stage.tests):
        _skipped(own, stage.detail)  # told by the case of the test
    elif stage.outcome == "failed":
        _fault(own, result, "stage", stage.detail)
    return [own, *tests]


def _test_case(classname: str, result: RunResult, test: TestOutcome) -> ET.Element:
    case = _case(classname, test.name, test.seconds)
    if test.outcome == "failed" and words.is_green(result):
        _skipped(case, f"failed, and was tried again: {test.reason}")
    elif test.outcome == "failed":
        _fault(case, result, "test", test.message, test.infrastructure or test.reason)
    elif test.outcome == "skipped":
        _skipped(case, test.message)
    if test.output:
        ET.SubElement(case, "system-out").text = test.output
    return case


def _verdict_case(suite: str, result: RunResult, *, told: bool) -> ET.Element:
    """told: another case has the fault already."""
    case = _case(suite, f"verdict of {words.mode_of(result)}", 0.0)
    if words.is_green(result):
        return case
    if told:
        _skipped(case, f"{result.verdict}: {result.summary}")
    else:
        text = "\n".join(filter(None, (words.meaning(result), result.summary)))
        _fault(case, result, str(result.verdict), text, result.summary)
    return case


def _case(classname: str, name: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", {"classname": classname, "name": name, "time": f"{seconds:.3f}"})


def _skipped(case: ET.Element, message: str) -> None:
    ET.SubElement(case, "skipped", {"message": message})


def _fault(case: ET.Element, result: RunResult, kind: str, text: str, message: str = "") -> None:
    """A failure is the recipe's; whatever says nothing of it is an error."""
    lines = text.strip().splitlines() or ["failed"]
    tag = "failure" if result.verdict in RED else "error"
    ET.SubElement(case, tag, {"type": kind, "message": message or lines[-1]}).text = text
