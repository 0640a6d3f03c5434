"""JUnit XML of one result, for whatever a CI shows test reports with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from warmci.report import words

if TYPE_CHECKING:
    from warmci.base.models import RunResult, StageResult, TestOutcome


def junit(result: RunResult) -> str:
    """Each stage and each of its tests is a test case, and the verdict is the last one: red unless the run passed.

    What is not the recipe's fault is a failure of another type, since the common schema knows no error in a test case.
    """
    name = words.suite_name(result)
    cases = [case for stage in result.stages for case in _stage_cases(name, stage)]
    cases.append(_verdict_case(name, result))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "time": f"{result.seconds:.3f}",
    }
    root = ET.Element("testsuites", {"name": name, **counts})
    skipped = str(sum(case.find("skipped") is not None for case in cases))
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


def _stage_cases(suite: str, stage: StageResult) -> list[ET.Element]:
    own = _case(suite, stage.name, stage.seconds)
    if stage.outcome == "failed":
        _failure(own, "stage", stage.detail)
    elif stage.outcome == "skipped":
        ET.SubElement(own, "skipped", {"message": stage.detail})
    return [own, *(_test_case(f"{suite}.{stage.name}", test) for test in stage.tests)]


def _test_case(classname: str, test: TestOutcome) -> ET.Element:
    case = _case(classname, test.name, test.seconds)
    if test.outcome == "failed":
        _failure(case, "test", test.message)
    elif test.outcome == "skipped":
        ET.SubElement(case, "skipped", {"message": test.message})
    return case


def _verdict_case(suite: str, result: RunResult) -> ET.Element:
    case = _case(suite, f"verdict of {words.mode_of(result)}", 0.0)
    if not words.is_green(result):
        _failure(case, str(result.verdict), "\n".join(filter(None, (words.meaning(result), result.summary))))
    return case


def _case(classname: str, name: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", {"classname": classname, "name": name, "time": f"{seconds:.3f}"})


def _failure(case: ET.Element, kind: str, text: str) -> None:
    lines = text.strip().splitlines() or ["failed"]
    ET.SubElement(case, "failure", {"type": kind, "message": lines[-1]}).text = text
