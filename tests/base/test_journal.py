"""The journal: on disk before the thing exists, readable after a power cut."""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from warmci.base.journal import FILE_NAME, Journal

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_noted_is_found_by_kind_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.note("volume", "a_data")
    journal.note("realm", "r1", url="http://k")
    journal.note("volume", "b_data")
    again = Journal(tmp_path)
    assert [entry["name"] for entry in again.entries("volume")] == ["a_data", "b_data"]
    assert [entry["url"] for entry in again.entries("realm")] == ["http://k"]
    assert list(again.entries("network")) == []


def test_it_is_there_when_note_returns_and_for_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Journal(tmp_path).note("stack", "x\ny")
    finally:
        os.umask(before)
    path = tmp_path / FILE_NAME
    assert path.read_bytes().count(b"\n") == 1
    assert json.loads(path.read_bytes())["name"] == "x\ny"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert list(Journal(tmp_path).entries("stack")) == []


def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(4):
        journal.note("volume", f"v{number}")
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        expected = [f"v{number}" for number in range(whole[:cut].count(b"}"))]
        assert [entry["name"] for entry in journal.entries("volume")] == expected


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"null\n", b"[1]\n", b"7\n", b"\0\0\0\0\n"])
def test_foreign_lines_do_not_hide_the_others(tmp_path: Path, line: bytes) -> None:
    journal = Journal(tmp_path)
    journal.note("volume", "first")
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(line)
    journal.note("volume", "last")
    assert [entry["name"] for entry in journal.entries("volume")] == ["first", "last"]


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    def note(thread: int) -> None:
        for number in range(10):
            journal.note("volume", f"{thread}-{number}", pad="p" * 500)

    threads = [threading.Thread(target=note, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({entry["name"] for entry in journal.entries("volume")}) == 40


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        Journal(tmp_path).note("stack", "x")
    assert (tmp_path / "elsewhere").read_bytes() == b""
