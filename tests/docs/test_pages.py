"""What hints and pages tell a reader to type exists, and what they say of exit codes and settings is true."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from warmci import run_recipe_ci
from warmci.base import errors
from warmci.base.models import EXIT_CODES
from warmci.base.settings import Settings
from warmci.cli import app
from warmci.operate import metrics
from warmci.recipe.config import RecipeConfig

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "warmci").rglob("*.py"))
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
PROGRAMS = {"warmci": typer.main.get_command(app.app), "run_recipe_ci.py": typer.main.get_command(run_recipe_ci.app)}
_SPAN = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def _text(node: ast.AST) -> str:
    """The words of a string or f-string; a value in it becomes the word X."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "X"
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def told(source: str) -> list[tuple[int, str]]:
    """(line, text) of each text that a person may read: hints, messages, invitations; docstrings are for us."""
    tree = ast.parse(source)
    ours = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    ours |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return [
        (node.lineno, text)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in ours and (text := _text(node))
    ]


def _wrong(command: Any, words: list[str], *, whole: bool) -> str:
    """What of the words the command does not know, or nothing; whole: also what it wants beside them."""
    is_itself = getattr(command, "invoke_without_command", False) and (not words or words[0] not in command.commands)
    is_itself |= bool(words) and words[0].startswith("-")
    if hasattr(command, "commands") and not is_itself:
        if words and set(words[0]) == {"X"}:
            return ""  # told when it runs
        if not words or words[0] not in command.commands:
            return f"{words[0] if words else 'nothing'} is no command of {command.name}"
        return _wrong(command.commands[words[0]], words[1:], whole=whole)
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if word.startswith("-") and word not in known:
            return f"{word} is no option of {command.name}"
    wanted = [one for one in command.params if one.param_type_name == "argument" and one.required]
    given = [word for word in words if not word.startswith("-") or word in {"--help", "-h"}]
    return f"{command.name} wants {wanted[0].name}" if whole and wanted and not given else ""


def faults(text: str, *, whole: bool = True) -> list[str]:
    """Commands of ours in a text that cannot be typed."""
    found = []
    for match in re.finditer(r"(?<![\w./-])(warmci|run_recipe_ci\.py)((?: +-{0,2}[\w/.+<>-]+)+)", text):
        words = [word.rstrip(".") for word in match[2].split()]
        if wrong := _wrong(PROGRAMS[match[1]], words, whole=whole):
            found.append(f"{match[0]}: {wrong}")
    return found


def test_the_collector_sees_what_is_wrong() -> None:
    assert faults("run `warmci tidy`, or retry") != []
    assert faults("warmci canonical prune X") != []
    assert faults("see `warmci stats`") != []
    assert faults("run_recipe_ci.py X --seed makes one") != []
    assert faults("warmci recover --all") != []
    assert faults("warmci doctor; then retry; warmci canonical show X; run_recipe_ci.py X --reseed makes one") == []
    assert faults("warmci canonical seed, or retry") != []
    source = '"""Ours."""\nhint = "w"\nraise E(f"x {a}", hint=f"warmci {a} y" if b else "z")\n'
    assert told(source) == [(2, "w"), (3, "x X"), (3, "warmci X y"), (3, "z")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_messages_name_commands_that_exist(path: Path) -> None:
    assert [
        f"{path.name}:{line}: {wrong}"
        for line, text in told(path.read_text(encoding="utf-8"))
        for wrong in faults(text)
    ] == []


def test_there_are_messages_to_look_at() -> None:
    texts = [text for path in SOURCES for _, text in told(path.read_text(encoding="utf-8"))]
    assert sum("warmci " in text for text in texts) > 100
    assert sum("run_recipe_ci.py " in text for text in texts) > 10


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pages_name_commands_that_exist(path: Path) -> None:
    code = "\n".join(
        line.partition("#")[0] for span in _SPAN.findall(path.read_text(encoding="utf-8")) for line in span.split("\n")
    )
    assert faults(code, whole=False) == []


def _documented_codes() -> dict[int, str]:
    rows = re.findall(r"^\| *(\d+) *\|([^|]+)\|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {int(code): meaning.strip() for code, meaning in rows}


def test_every_error_has_its_exit_code_in_the_readme() -> None:
    classes = [
        item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.WarmciError)
    ]
    assert len(classes) > 5
    assert [item.__name__ for item in classes if not _documented_codes().get(item.exit_code)] == []


def test_the_readme_knows_no_other_codes() -> None:
    assert sorted(_documented_codes()) == sorted(set(EXIT_CODES.values()))


def test_every_setting_is_on_its_page() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"`{name}`" not in page] == []


def test_operators_are_told_of_every_figure() -> None:
    rows = re.findall(
        r"^\| (`warmci_.*?) \|", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(re.findall(r"`warmci_(\w+)`", " ".join(rows))) == sorted(metrics.HELP)


def test_pages_name_make_targets_that_exist() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    spans = [span for path in PAGES for span in _SPAN.findall(path.read_text(encoding="utf-8"))]
    named = {target for span in spans for target in re.findall(r"(?:^|[`\n])make ([a-z-]+)", span)}
    assert {"test", "docs"} <= named
    assert named - known == set()


def test_contributors_are_told_of_every_make_target() -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    rows = re.findall(r"^\| (`make .*?) \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert known - set(re.findall(r"`(?:make )?([a-z-]+)`", " ".join(rows))) == {"clean"}


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: path.stem)
def test_files_that_are_named_exist(path: Path) -> None:
    """Of ours: a room and a file of it. What is in capitals stands for any."""
    rooms = [item.name for item in (ROOT / "src" / "warmci").iterdir() if item.is_dir()]
    named = re.findall(rf"(?<![\w./-])((?:{'|'.join(rooms)})/[a-z_]+\.py)", path.read_text(encoding="utf-8"))
    homes = [ROOT / "src" / "warmci", ROOT / "tests"]
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []


@pytest.mark.parametrize("page", ["recipes", "sso"])
def test_examples_of_recipe_toml_are_understood(page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        config = RecipeConfig(**tomllib.loads(block))
        of_keycloak_itself = "KC_HOSTNAME" in config.env
        assert of_keycloak_itself or config.needs == ("keycloak",)
        assert of_keycloak_itself or config.sso is not None


@pytest.mark.parametrize(("recipe", "word"), [("miniflux", "OAUTH2"), ("lasuite-docs", "OIDC_OP")])
def test_the_bundled_example_is_the_documented_one(recipe: str, word: str) -> None:
    page = (ROOT / "docs" / "sso.md").read_text(encoding="utf-8")
    bundled = ROOT / "src" / "warmci" / "demo" / "data" / "recipes" / recipe / "operator" / "recipe.toml"
    documented = next(block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if word in block)
    shown, real = tomllib.loads(documented), tomllib.loads(bundled.read_text(encoding="utf-8"))
    real["sso"].pop("users", None)
    assert (shown["sso"], shown["needs"], shown["health_path"]) == (real["sso"], real["needs"], real["health_path"])
    assert shown.get("env", {}).items() <= real.get("env", {}).items()


def test_hints_name_pages_that_exist() -> None:
    named = {
        page
        for path in SOURCES
        for _, text in told(path.read_text(encoding="utf-8"))
        for page in re.findall(r"docs/[\w-]+\.md", text)
    }
    assert named
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
