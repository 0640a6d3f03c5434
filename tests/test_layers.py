"""The direction of dependencies: entry → flows → services → tools → ground, and who may import what."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "warmci"
CLI = {path.stem for path in SOURCE.glob("cli*.py")}
LAYERS: list[set[str]] = [
    {
        "errors",
        "fs",
        "interpolation",
        "interrupts",
        "models",
        "names",
        "netns",
        "process",
        "redaction",
        "settings",
    },
    {
        "alerts",
        "checks",
        "console",
        "disk",
        "engine",
        "http",
        "journal",
        "live_lock",
        "locks",
        "manifest",
        "ports",
        "quiesce",
        "run_locks",
        "scan",
        "stages",
        "state",
        "tree",
    },
    {
        "attach",
        "canonical",
        "claim",
        "compose",
        "compose_forms",
        "compose_shape",
        "convergence",
        "copying",
        "demo_recipes",
        "deployment",
        "envfile",
        "forge",
        "history",
        "images",
        "ingress",
        "inventory",
        "keycloak",
        "lint",
        "live_plan",
        "live_record",
        "lock_table",
        "login",
        "overlay",
        "private_engine",
        "provider",
        "pulled",
        "realm",
        "realm_reaper",
        "realm_spec",
        "reap",
        "recipe",
        "recipe_config",
        "render",
        "report",
        "report_comment",
        "report_html",
        "report_junit",
        "restore",
        "restore_journal",
        "saved_app",
        "service_account",
        "snapshot",
        "sso",
        "stack_volumes",
        "suite",
        "sweep_children",
        "sweep_plan",
        "sweep_record",
        "sweep_report",
        "sweep_verdict",
        "trigger",
    },
    {
        "announce",
        "app",
        "cold",
        "context",
        "demo",
        "demo_rollback",
        "deps",
        "doctor",
        "fsck",
        "keycloak_preflight",
        "ledger",
        "live",
        "live_account",
        "live_reconcile",
        "live_releases",
        "live_stack",
        "metrics",
        "pipeline",
        "promote",
        "prune",
        "prune_plan",
        "quick",
        "realms",
        "reconcile",
        "recover",
        "registry",
        "restore_app",
        "run",
        "save",
        "status",
        "sweep",
        "sweep_recipes",
    },
    {
        "exits",
        "pytest_plugin",
        "run_recipe_ci",
        *CLI,
    },
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
