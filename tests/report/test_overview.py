"""The overview: every recipe with what is known of it, links that lead somewhere, badges, and nothing secret."""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from support.results import HEAD, quick_fail, result
from support.site import CANARY, both_halves, settled
from warmci.base.models import Mode, Verdict
from warmci.cli import app
from warmci.operate import site
from warmci.report import badge, html_parts, links
from warmci.report.html import page
from warmci.report.overview import agreement
from warmci.report.past import Past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.base.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    mask = os.umask(0o077)
    yield settled(tmp_path)
    os.umask(mask)


def test_every_recipe_is_there_and_every_link_leads_to_a_file(settings: Settings) -> None:
    home = site.build(settings)
    index = (home / "index.html").read_text(encoding="utf-8")
    assert all(f"<b>{recipe}</b>" in index for recipe in ("miniflux", "hedgedoc", "demo"))
    assert "the sweep is not green: 1 of 2 green" in index
    assert "https://git.example.org/coop-cloud/miniflux/pulls/8" in index
    assert "0 of 1 agree" in index
    for name in ("index.html", "sweep.html"):
        found = re.findall(r'href="\./([^"]+)"', (home / name).read_text(encoding="utf-8"))
        assert found
        assert all((home / path).is_file() for path in found)
    for path in (home / "runs").iterdir():
        assert 'href="./' not in path.read_text(encoding="utf-8")  # no file of the run goes along


def test_nothing_secret_is_in_it_and_a_web_server_can_read_it(settings: Settings) -> None:
    canonical = (settings.state_dir / "demo" / "canonical.json").read_text(encoding="utf-8")
    assert CANARY in canonical
    home = site.build(settings)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert CANARY not in "".join(path.read_text(encoding="utf-8") for path in files)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o644}


def test_what_is_gone_is_forgotten(settings: Settings) -> None:
    home = site.build(settings)
    (home / "runs" / "20200101T000000Z-000000.html").write_text("old", encoding="utf-8")
    (home / "badge-gone-cold.svg").write_text("old", encoding="utf-8")
    (home / "robots.txt").write_text("the operator's", encoding="utf-8")
    site.build(settings)
    assert not (home / "runs" / "20200101T000000Z-000000.html").exists()
    assert not (home / "badge-gone-cold.svg").exists()
    assert (home / "robots.txt").exists()


def test_the_command_builds_where_the_setting_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WARMCI_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("WARMCI_SITE_DIR", str(tmp_path / "www"))
    assert app.main(["site", "build", "--json"]) == 0
    assert str(tmp_path / "www" / "index.html") in capsys.readouterr().out
    assert (tmp_path / "www" / "index.html").is_file()


def test_an_overview_that_cannot_be_written_is_a_warning(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    said: list[str] = []
    site.rebuild(settings.model_copy(update={"site_dir": tmp_path / "file" / "x"}), said.append)
    assert len(said) == 1
    assert "the overview is not of now" in said[0]


def test_a_pull_request_changes_nothing_of_what_cold_says(settings: Settings) -> None:
    def last_runs(recipe: str) -> tuple[str, str]:
        home = site.build(settings)
        (row,) = re.findall(rf"<tr><td[^>]*><b>{recipe}</b>.*?</tr>", (home / "index.html").read_text(encoding="utf-8"))
        return (home / f"badge-{recipe}-cold.svg").read_text(encoding="utf-8"), row.partition("quick and cold")[0]

    before = last_runs("miniflux")
    assert "WarmCI cold: pass" in before[0]
    now = datetime.now(UTC)
    for number in range(90):
        of_a_stranger = result(Verdict.FAIL, run=f"{now:%Y%m%dT%H%M%SZ}-{number:06x}", started=now)
        home = settings.runs_dir / of_a_stranger.run
        home.mkdir()
        (home / "result.json").write_text(of_a_stranger.model_dump_json(), encoding="utf-8")
    assert last_runs("miniflux") == before
    assert len(list((settings.site / "runs").iterdir())) == 100, "their reports are there"


@pytest.mark.parametrize("verdict", ["pass", "fail", "unknown", "promotion-failed"])
def test_a_badge_is_an_image_that_names_mode_and_verdict(verdict: str) -> None:
    tree = ET.fromstring(badge.svg("cold", verdict))  # noqa: S314  (our own)
    assert tree.attrib["aria-label"] == f"WarmCI cold: {verdict}"
    assert [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")] == ["WarmCI cold", verdict]


def test_agreement_counts_heads_that_were_tested_in_both_ways() -> None:
    red = result(Verdict.FAIL, head_commit="a" * 40, requested=Mode.QUICK, ran=Mode.QUICK)
    both = [result(), result(requested=Mode.QUICK, ran=Mode.QUICK), result(head_commit="a" * 40), red]
    assert agreement([Past.of(one) for one in both]) == "1 of 2 agree"
    assert agreement([Past.of(result())]) == ""


@pytest.mark.parametrize(
    ("forge", "source", "expected"),
    [
        ("", "https://me:pw-canary@git.example.org/coop/demo.git", "https://git.example.org/coop/demo"),
        ("https://forge.example.org/", "/srv/demo", "https://forge.example.org/coop-cloud/demo"),
        ("", "/srv/demo", ""),
        ("", "ssh://git@example.org/demo.git", ""),
    ],
)
def test_the_repository_has_a_page_on_the_web(forge: str, source: str, expected: str) -> None:
    assert links.repository_page(forge, "coop-cloud/{recipe}", source, "demo") == expected


def test_links_of_a_run() -> None:
    found = links.of_run("https://f/x", "8", HEAD, "https://ci/1")
    assert dict(found) == {
        "pull request": "https://f/x/pulls/8",
        "commit": f"https://f/x/commit/{HEAD}",
        "recipe": "https://f/x",
        "CI job": "https://ci/1",
    }
    assert dict(links.of_run("https://f/x", "a-word", "", "")) == {"recipe": "https://f/x"}


def test_no_other_address_becomes_a_link() -> None:
    assert html_parts.link("x", "javascript:alert(1)") == "x"
    assert html_parts.link("x", "http://[::1/x") == "x"
    assert html_parts.link("<x>", "") == "&lt;x&gt;"
    assert 'href="https://e.org/&quot;&gt;' in html_parts.link("x", 'https://e.org/">')


def test_the_report_draws_when_each_stage_was_and_what_the_data_lived_through(tmp_path: Path) -> None:
    said = page(both_halves())
    assert re.findall(r"<h3>(\w+)", said) == ["fresh", "upgrade", "promote"]
    assert "+12.7 s" in said
    assert re.findall(r"<li>(0\.1\.\d\+[\d.]+)</li>", said) == ["0.1.0+2.2.8", "0.1.1+2.2.8", "0.1.2+2.2.13"]
    assert "miniflux/miniflux:2.2.13" in said
    assert "run_recipe_ci.py miniflux --ref main" in said
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', said)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert "style=" not in said.partition("<body>")[2]
    (tmp_path / "seen" / "quick").mkdir(parents=True)
    (tmp_path / "seen" / "quick" / "app.log").write_text("</pre><script>first\nlast words\n", encoding="utf-8")
    red = page(quick_fail().model_copy(update={"kept": ("seen/quick/app.log",)}), tmp_path)
    assert "<summary>quick/app.log</summary>" in red
    assert "last words" in red
    assert "<script>" not in red


def test_the_time_of_now_is_shown(settings: Settings) -> None:
    index = (site.build(settings) / "index.html").read_text(encoding="utf-8")
    assert f"as of {datetime.now(UTC):%F}" in index
