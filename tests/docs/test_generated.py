"""What is made from the code says what the code says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import pictures
from support.pages import pages
from support.results import quick_fail
from support.rooms import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_of_today(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run `make docs`"


def test_the_story_in_a_terminal_is_that_of_the_readme() -> None:
    assert (pictures.HOME / "demo.svg").read_text(encoding="utf-8") == pictures.story(), "run `make docs`"


def test_no_schema_is_left_of_what_is_gone() -> None:
    assert {path for path in PAGES if path.suffix == ".json"} == set((ROOT / "docs" / "schema").iterdir())


def test_a_result_has_the_fields_of_its_schema() -> None:
    schema = json.loads((ROOT / "docs" / "schema" / "result.json").read_text(encoding="utf-8"))
    assert quick_fail().model_dump(mode="json").keys() == schema["properties"].keys()
