"""What a page of Keycloak's shows: its forms, and what it has to say to the user."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MESSAGES = ("input-error", "kc-feedback-text", "kc-error-message")
"""Ids (or starts of them) and classes of what Keycloak's pages have to say to the user."""


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    asks_password: bool = False


class Page(HTMLParser):
    """Forms with their fields, the title, and what Keycloak's messages say."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.title = ""
        self.message = ""
        self._inside = False
        self._capture: tuple[str, str] | None = None
        self._depth = 0
        self.feed(text)
        self.close()
        self.title, self.message = " ".join(self.title.split()), " ".join(self.message.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
            self._inside = True
        elif tag == "input" and self._inside:
            self._add_input(given)
        elif self._capture and tag == self._capture[1]:
            self._depth += 1
        elif not self._capture and (tag == "title" or _is_message(given)):
            self._capture, self._depth = ("title" if tag == "title" else "message", tag), 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        if self._capture and tag == self._capture[1]:
            self._depth -= 1
            if self._depth == 0:
                self._capture = None

    def handle_data(self, data: str) -> None:
        if self._capture and self._capture[0] == "title":
            self.title += data
        elif self._capture:
            self.message += data

    def _add_input(self, given: Mapping[str, str]) -> None:
        form, kind = self.forms[-1], given.get("type", "text").lower()
        form.asks_password = form.asks_password or kind == "password"
        # A browser sends neither unticked boxes nor buttons that nobody pressed.
        if given.get("name") and (kind not in ("checkbox", "radio", "submit", "button") or "checked" in given):
            form.fields[given["name"]] = given.get("value", "")


def _is_message(given: Mapping[str, str]) -> bool:
    return given.get("id", "").startswith(_MESSAGES) or bool(set(given.get("class", "").split()) & set(_MESSAGES))
