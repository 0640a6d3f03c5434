from pathlib import Path

from warmci.base.settings import as_markdown


def test_docs_say_what_the_fields_say() -> None:
    path = Path(__file__).parents[2] / "docs" / "settings.md"
    assert path.read_text(encoding="utf-8") == as_markdown(), "run `make docs`"
