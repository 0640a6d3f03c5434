"""Tests of the recipe @RECIPE@: what the seed test writes, the others find again, after every upgrade too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from warmci.testing.pytest_plugin import App

NOTE = "kept over every upgrade"


@pytest.mark.seed
def test_a_note_is_written(app: App) -> None:
    app.exec("app", ["sh", "-c", f"echo '{NOTE}' > /srv/content/note.txt"])


def test_the_note_is_there(app: App) -> None:
    response = app.client.get("/content/note.txt")
    assert response.status_code == 200
    assert NOTE in response.text
