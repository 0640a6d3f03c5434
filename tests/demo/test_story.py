import os
from pathlib import Path

import pytest

from warmci.base.errors import UsageError
from warmci.demo import story
from warmci.report.console import Console


def test_the_last_words_can_be_typed_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    export, then, clean = story.last_words(tmp_path / "root", still_there=True)
    assert export.endswith(f"WARMCI_SETTINGS={tmp_path}/root/settings.toml")
    program = Path(then.removeprefix("then: ").split(" ")[0])
    assert os.access(program, os.X_OK)
    assert clean.startswith(f"`{program.with_name('warmci')} demo --root {tmp_path}/root --clean`")
    monkeypatch.setenv("PATH", str(program.parent))
    assert "`warmci demo --root" in story.last_words(tmp_path, still_there=False)[0]


def test_clean_removes_only_what_the_demo_made(tmp_path: Path) -> None:
    console = Console(quiet=True)
    assert story.clean(tmp_path / "none", "unix:///nonexistent.sock", console) == []
    other = tmp_path / "other"
    (other / "engine").mkdir(parents=True)
    (other / "settings.toml").touch()
    with pytest.raises(UsageError, match="not a directory of the demo"):
        story.clean(other, "unix:///nonexistent.sock", console)
    assert (other / "engine").is_dir()
    (other / ".warmci-demo").touch()
    assert story.clean(other, "unix:///nonexistent.sock", console) == ["private engine", str(other)]
    assert not other.exists()
