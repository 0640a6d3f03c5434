"""Hostile text in every field of what is told, through every place where it is told, each read as its reader does."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings

from support import hostile
from warmci import run_recipe_ci
from warmci.base.models import RunResult
from warmci.operate.metrics import _Page
from warmci.report import comment, console, words
from warmci.report.alerts import Alert
from warmci.report.console import Console
from warmci.report.html import page
from warmci.report.junit import junit
from warmci.report.sweep_html import as_html
from warmci.report.sweep_record import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

unhurried = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
_NO_TAGS = {"script", "img", "a"}


def made(raw: str) -> RunResult:
    return RunResult.model_validate({**hostile.filled(RunResult, raw), "verdict": "fail", "ran": "cold"})


def harmless(shown: str) -> None:
    assert hostile.unseen(shown) == []
    assert hostile.commands(shown) == []


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]


@given(hostile.text)
@unhurried
def test_html(raw: str) -> None:
    calm = Tags(page(made("calm")))
    harmless(page(made(raw)))
    assert set(Tags(page(made(raw))).found) <= {*calm.found, "h3"}  # of an app, where a stage names one
    sweep = Sweep.model_validate(hostile.filled(Sweep, raw))
    harmless(as_html(sweep))
    assert not _NO_TAGS & set(Tags(as_html(sweep)).found)


@given(hostile.text)
@unhurried
def test_junit(raw: str) -> None:
    result = made(raw)
    harmless(junit(result))
    root = ET.fromstring(junit(result))  # noqa: S314  (our own)
    for tag in root.iter():
        harmless((tag.text or "") + "".join(tag.attrib.values()))
    said = {item.get("name"): item.get("value") for item in root.iter("property")}
    assert said["verdict"] == "fail"
    if result.log_excerpt:
        assert root.findtext(".//system-out") == result.log_excerpt


@given(hostile.text)
@unhurried
def test_comment_and_status(raw: str) -> None:
    result = made(raw)
    body = comment.comment(result, "0f" * 16)
    harmless(body)
    harmless(comment.description(result))
    calm = made("calm" if result.log_excerpt else "")
    assert outside_of_fences(body) == outside_of_fences(comment.comment(calm, "0f" * 16))


def test_a_comment_stays_short() -> None:
    raw = "`" * 100_000
    long = RunResult.model_validate({**made(raw).model_dump(), "deviations": [raw] * 1000})
    assert len(comment.comment(long, "0f" * 16)) < 300_000


def outside_of_fences(markdown: str) -> list[str]:
    """Lines that are no code, by CommonMark's rule for fences (https://spec.commonmark.org/0.31.2/#fenced-code-blocks)."""
    outside, fence = [], ""
    for line in markdown.split("\n"):
        mark = re.match(r" {0,3}(`{3,}|~{3,})([^`]*)$", line)
        if fence:
            closes = re.fullmatch(r" {0,3}(`{3,}|~{3,})[ \t]*", line)
            if closes and closes[1][0] == fence[0] and len(closes[1]) >= len(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            outside.append(line)
    assert not fence
    return outside


@given(hostile.text)
@unhurried
def test_json(raw: str) -> None:
    result = made(raw)
    for text in (result.model_dump_json(indent=2), json.dumps(result.model_dump(mode="json"), ensure_ascii=False)):
        harmless(text)
        assert RunResult.model_validate_json(text) == result
    harmless(json.dumps(Alert.model_validate(hostile.filled(Alert, raw)).message, ensure_ascii=False))


@given(hostile.text)
@unhurried
def test_prometheus(raw: str) -> None:
    figures = _Page()
    figures.gauge("slots", 1, version=raw)
    lines = str(figures).splitlines()
    harmless("\n".join(lines))
    assert len(lines) == 3
    assert re.fullmatch(r'warmci_slots\{version="(?:[^"\\]|\\["\\n])*"\} 1', lines[2])


def talk(raw: str) -> None:
    """Everything that can be said by a console."""
    result, shown = made(raw), Console()
    run_recipe_ci._say_verdict(shown, result, Path("result.json"))
    shown.say(raw)
    shown.error(raw, raw)
    with shown.working(raw):
        shown.progress(raw)
    shown.progress(raw)
    for outcome in ("ok", "failed", "skipped"):
        shown.end_stage(raw, outcome, 1.0, raw)
    shown.table(raw, ("a", "b"), [(raw, raw), *words.facts(result).items()])
    with shown.bar(raw, 10) as advance:
        advance(10)


@given(hostile.text)
@unhurried
def test_a_ci_log(raw: str) -> None:
    log = io.StringIO()
    with patch("sys.stderr", log), patch.object(console, "_PROGRESS_GAP_S", 0):
        talk(raw)
    harmless(log.getvalue())


@pytest.mark.parametrize("raw", [*hostile.PIECES, "".join(hostile.PIECES), "\n".join(hostile.PIECES)])
def test_a_terminal(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a real one: what rich itself sends are colours, cursor moves, and nothing else."""
    monkeypatch.setenv("TERM", "xterm")
    screen = on_a_terminal(lambda: talk(raw), monkeypatch)
    own = re.sub(r"\x1b\[(?:[0-9;]*m|\?25[hl]|[0-9]*A|2K|1A)|\r", "", screen)
    assert hostile.unseen(own) == []
    assert not [line for line in own.split("\n") if line.strip().startswith("::")]


def on_a_terminal(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> str:
    master, slave = pty.openpty()
    chunks: list[bytes] = []

    def pump() -> None:
        try:
            while more := os.read(master, 65536):
                chunks.append(more)
        except OSError:
            return  # EIO is the end: the other side is closed

    reader = threading.Thread(target=pump)
    reader.start()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        assert Console()._terminal.is_live
        work()
    reader.join(10)
    os.close(master)
    assert not reader.is_alive()
    return b"".join(chunks).decode()


@pytest.mark.parametrize("model", [RunResult, Sweep, Alert])
def test_every_string_of_what_is_told_is_cleaned(model: type[BaseModel]) -> None:
    """Fields that are added later, too; a name that we made ourselves may be excepted here."""
    text = model.model_validate(hostile.filled(model, "\x1b[2J\x00::x")).model_dump_json()
    raw = [value for value in re.findall(r'"(?:[^"\\]|\\.)*"', text) if "\\u0000" in value]
    assert raw == []
