from pathlib import Path

import pytest

from warmci.base.errors import UsageError
from warmci.demo import story
from warmci.report.console import Console


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
