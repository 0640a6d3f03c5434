"""The direction of dependencies: entry → flows → services → tools → ground, and who may import what."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "warmci"
CLI = {path.stem for path in SOURCE.glob("cli*.py")}
LAYERS: list[set[str]] = [
    {"errors", "models", "names", "settings", "redaction", "process", "fs", "interpolation", "netns", "interrupts"},
    {"console", "engine", "journal", "state", "locks", "ports", "stages", "http", "manifest", "quiesce", "disk"},
    {
        "compose",
        "compose_forms",
        "compose_shape",
        "envfile",
        "ingress",
        "lint",
        "overlay",
        "render",
        "recipe",
        "recipe_config",
        "convergence",
        "deployment",
        "reap",
        "snapshot",
        "attach",
        "canonical",
        "sso",
        "realm_spec",
        "keycloak",
        "login",
        "suite",
        "provider",
        "realm",
        "images",
        "private_engine",
        "demo_recipes",
        "report",
        "report_junit",
        "report_html",
        "report_comment",
        "forge",
        "trigger",
        "pulled",
        "lock_table",
    },
    {
        "context",
        "deps",
        "app",
        "ledger",
        "recover",
        "cold",
        "quick",
        "promote",
        "run",
        "live",
        "doctor",
        "demo",
        "announce",
        "prune_plan",
        "prune",
    },
    {"exits", "run_recipe_ci", "pytest_plugin", *CLI},
]
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}
ONLY = {
    "typer": {"run_recipe_ci", *CLI},
    "subprocess": {"process"},
    "docker": {"engine"},
    "pytest": {"pytest_plugin"},
}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def inner(imports: set[str]) -> set[str]:
    return {name.split(".")[1] for name in imports if name.startswith("warmci.")} & set(RANK)


MODULES = sorted(path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert module in RANK, f"{module} has no place in the layers"
    above = {name for name in inner(imports_of(SOURCE / f"{module}.py")) if RANK[name] > RANK[module]}
    assert not above, f"{module} imports from above: {above}"


def test_no_cycles() -> None:
    graph = {module: inner(imports_of(SOURCE / f"{module}.py")) - {module} for module in MODULES}
    while leaves := {module for module, needs in graph.items() if not needs & graph.keys()}:
        graph = {module: needs for module, needs in graph.items() if module not in leaves}
    assert not graph, f"import cycle among {sorted(graph)}"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_named_modules_import(module: str) -> None:
    tops = {name.split(".")[0] for name in imports_of(SOURCE / f"{module}.py")}
    for package, allowed in ONLY.items():
        assert package not in tops or module in allowed, f"{module} imports {package}"
