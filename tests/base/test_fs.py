"""Files that must survive: whole or old at every instant, removed without leaving the tree."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.base import fs


def test_a_new_file_has_its_mode_and_content(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        fs.write_atomic(tmp_path / "a", "secret ü\n")
        fs.write_atomic(tmp_path / "b", "x", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "secret ü\n"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_failed_write_keeps_the_old_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        fs.write_atomic(path, "new \ud800")
    with pytest.raises(ValueError, match="JSON"):
        fs.write_json(path, {"n": float("nan")})
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def _write_for_ever(path: str) -> None:
    while True:
        for letter in "ab":
            fs.write_atomic(Path(path), letter * 50_000)


def test_a_reader_and_a_kill_see_one_content_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "f"
    fs.write_atomic(path, "a" * 50_000)
    writer = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(str(path),))
    writer.start()
    try:
        seen: set[str] = set()
        while seen != {"a" * 50_000, "b" * 50_000}:
            seen.add(path.read_text(encoding="utf-8"))
            assert seen <= {"a" * 50_000, "b" * 50_000}
    finally:
        writer.kill()
        writer.join()
    assert path.read_text(encoding="utf-8") in seen


def test_a_link_in_the_place_of_the_temporary_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("whole", encoding="utf-8")
    (tmp_path / f".f.{os.getpid()}.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"):
        fs.write_atomic(tmp_path / "f", "x")
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "whole"


def test_json_is_sorted_and_ends_its_line(tmp_path: Path) -> None:
    fs.write_json(tmp_path / "f", {"b": 1, "a": [2]})
    text = (tmp_path / "f").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [2], "b": 1}
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")


def test_rename_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "below").mkdir()
    with pytest.raises(FileExistsError):
        fs.rename_durable(tmp_path / "one", tmp_path / "two")
    fs.rename_durable(tmp_path / "one", tmp_path / "below" / "one")
    assert (tmp_path / "below" / "one").is_dir()
    assert not (tmp_path / "one").exists()


def test_removal_stays_inside_the_tree(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    (tree / "deep" / "file").touch()
    fs.remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").exists()


def test_removal_of_a_link_a_file_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "dangling", "file", "absent"):
        fs.remove_tree(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_mounts_are_those_of_the_kernel_innermost_first() -> None:
    targets = [mount.target for mount in fs.mounts()]
    assert Path("/proc") in targets
    assert targets[0] == Path("/") or Path("/") in targets
    below = fs.mounts_below(Path("/proc/.."))
    assert {mount.target for mount in below} == set(targets)
    assert [mount.target for mount in below] == targets[::-1]
    assert next(mount.kind for mount in fs.mounts() if mount.target == Path("/proc")) == "proc"


def test_a_tree_with_a_mount_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    (tree / "inner" / "m").mkdir(parents=True)
    (tree / "file").touch()
    mounted = fs.Mount("0:9", "/", tree / "inner" / "m", "overlay", "overlay", "rw")
    monkeypatch.setattr(fs, "mounts", lambda: [mounted])  # the kernel's list; a real mount is tested in test_attach
    with pytest.raises(OSError, match=r"tree still has .*/inner/m mounted in it"):
        fs.remove_tree(tree)
    assert (tree / "file").exists()
    monkeypatch.setattr(fs, "mounts", lambda: [mounted._replace(target=tmp_path / "tree-of-another")])
    fs.remove_tree(tree)
    assert not tree.exists()


@given(st.text(st.sampled_from("abü\udcff \t\n\\/0147"), max_size=12))
def test_names_of_mounts_are_unescaped(name: str) -> None:
    escaped = "".join(f"\\{ord(one):03o}" if one in " \t\n\\" else one for one in name)  # as the kernel's mangle()
    assert fs._unescape(escaped) == name
