"""The pages as a reader has them: in a real browser, at two widths, light and dark (`make test-pages`)."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from support.chromium import Chromium, browser
from support.site import settled
from warmci.operate import site

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser
_CONTRAST = """
(() => {
  const part = value => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  const read = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = read(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("main *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest("svg") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), two = [light(read(style.color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (two[0] + 0.05) / (two[1] + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${element.tagName} ${element.className} "${element.textContent.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return found;
})()
"""  # noqa: E501  (JavaScript)
_HEADINGS = "[...document.querySelectorAll('h1,h2,h3,h4')].map(heading => Number(heading.tagName[1]))"
_FOCUSABLE = "[...document.querySelectorAll('a[href], summary')].filter(one => one.getClientRects().length).length"
_FOCUS = """
(() => { const at = document.activeElement, style = getComputedStyle(at);
  return [at.tagName, style.outlineStyle, parseFloat(style.outlineWidth), at.getBoundingClientRect().right]; })()
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    mask = os.umask(0o077)
    settings = settled(tmp_path_factory.mktemp("pages"))
    home = site.build(settings)
    green, *_, red, _ = sorted(settings.runs_dir.glob("*/report.html"))
    yield {"overview": home / "index.html", "sweep": home / "sweep.html", "red": red, "green": green}
    os.umask(mask)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["overview", "sweep", "red", "green"])
def test_a_page_can_be_read(chromium: Chromium, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    chromium.show(pages[name], width, scheme)
    assert chromium.complaints == []  # the policy, and what could not be loaded
    assert chromium.tell("document.documentElement.scrollWidth") <= width
    assert chromium.tell(_CONTRAST) == []
    headings: list[int] = chromium.tell(_HEADINGS)
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert chromium.tell("document.title") != ""


def test_the_measure_of_contrast_finds_what_is_wrong(chromium: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text('<main><p style="color:#999;background:#fff">pale</p></main>', encoding="utf-8")
    chromium.show(page, 360, "light")
    assert len(chromium.tell(_CONTRAST)) == 1


@pytest.mark.parametrize("name", ["overview", "red"])
def test_the_keyboard_reaches_all_that_can_be_pressed_and_shows_where_it_is(
    chromium: Chromium, pages: dict[str, Path], name: str
) -> None:
    chromium.show(pages[name], 360, "light")
    count = chromium.tell(_FOCUSABLE)
    assert count > 2
    for _ in range(count):
        chromium.press("Tab")
        tag, outline, thickness, right = chromium.tell(_FOCUS)
        assert tag in {"A", "SUMMARY"}
        assert outline != "none"
        assert thickness >= 2
        assert right <= 360


def test_every_link_to_a_file_leads_to_a_page_that_loads(chromium: Chromium, pages: dict[str, Path]) -> None:
    seen: set[str] = set()
    for name in ("overview", "sweep", "red"):
        chromium.show(pages[name], 1280, "light")
        found: list[Any] = chromium.tell("[...document.querySelectorAll('a[href]')].map(one => one.href)")
        seen |= {url for url in found if url.startswith("file:")}
    assert len(seen) > 5
    for url in sorted(seen):
        chromium.show(Path(unquote(urlsplit(url).path)), 1280, "light")
        assert chromium.tell("document.body.innerText.trim().length") > 0, url
    assert chromium.complaints == []
