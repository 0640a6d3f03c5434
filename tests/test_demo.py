from pathlib import Path

import pytest

from warmci import demo
from warmci.console import Console
from warmci.errors import UsageError


def test_clean_removes_only_what_the_demo_made(tmp_path: Path) -> None:
    console = Console(quiet=True)
    assert demo.clean(tmp_path / "none", "unix:///nonexistent.sock", console) == []
    other = tmp_path / "other"
    (other / "engine").mkdir(parents=True)
    (other / "settings.toml").touch()
    with pytest.raises(UsageError, match="not a directory of the demo"):
        demo.clean(other, "unix:///nonexistent.sock", console)
    assert (other / "engine").is_dir()
    (other / ".warmci-demo").touch()
    assert demo.clean(other, "unix:///nonexistent.sock", console) == ["private engine", str(other)]
    assert not other.exists()
