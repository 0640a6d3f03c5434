"""Has Docker's CLI load a recipe's compose files (`docker stack config`), and looks at what files they name.

The CLI runs in a copy that holds nothing but these files, with the recipe's variables under harmless names
(variables.py) and bounds on what a stranger's text may cost.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmci.base import process
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.recipe import checkout_files, compose_text
from warmci.recipe.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from warmci.base.docker_cli import DockerCli
    from warmci.recipe.compose_text import Document

SECTIONS = ("services", "volumes", "networks", "secrets", "configs")
_LIMITS = process.Limits(cpu_s=10, memory=512 * 2**20, output=4 * 2**20)
_TIMEOUT_S = 120.0
_MAX_FILES = 64
_PROBE = "x-warmci"
_TREE = "a/b/c/d/e/f/checkout"
"""Deep, so that `../../x` is still known for what the recipe wrote."""
_SHOWN = 600
_WHAT = "compose file"
_HINT = "see COMPOSE_FILE in .env.sample"
_WARNING = re.compile(r"^time=.* level=warning .*$|^WARNING: .*$", re.MULTILINE)
_COSTLY = re.compile(r"out of memory|cannot allocate memory|file too large|exceeds? .{0,200}limit|stack overflow")


def load_compose(root: Path, files: Sequence[str], scope: Mapping[str, str], cli: DockerCli) -> Document:
    """The merged document of `files` (relative to root) in the CLI's long forms, with absolute paths of files.

    A bind that is relative starts with `./` or `../`, seen from root: place_binds() makes it absolute.
    Raises RecipeFailedError with the CLI's words, the file at fault and the real names of variables.
    """
    if not 0 < len(files) <= _MAX_FILES:
        raise RecipeFailedError(f"COMPOSE_FILE names {len(files)} files", hint=f"1 to {_MAX_FILES}")
    with _copy(root, files[0], scope, cli) as copy:
        parts = [copy.load(name) for name in files]
        document = parts[0] if len(parts) == 1 else copy.merge(parts, files)
        for section in SECTIONS:
            document[section] = {key: {} if body is None else body for key, body in document.get(section, {}).items()}
        copy.resolve_paths(document)
    if not document["services"]:
        raise RecipeFailedError(f"{', '.join(files)}: no services")
    return {section: document[section] for section in SECTIONS}


def secret_variables(root: Path, files: Sequence[str], cli: DockerCli) -> dict[str, list[str]]:
    """Key of each secret of these files to the variables in its name, the version's (the last) first.

    The CLI reads them with each variable's value its own name. A later file's secret replaces an earlier one's.
    """
    with _copy(root, files[0], {}, cli) as copy:
        texts = [checkout_files.text(checkout_files.inside(root, name, what=_WHAT), what=_WHAT) for name in files]
        nested = [compose_text.nested(copy.variables.out(text), f"{_PROBE}-{n}") for n, text in enumerate(texts)]
        copy.variables.scope = {name: f"${{{name}}}" for name in copy.variables.names}
        probe = copy.config(["\n".join(nested)], ", ".join(files))
    found = {}
    for number in range(len(files)):
        for key, body in (probe[f"{_PROBE}-{number}"].get("secrets") or {}).items():
            external = (body or {}).get("external")
            name = (external if isinstance(external, dict) else body or {}).get("name") or ""
            found[key] = re.findall(r"\$\{(\w+)\}", name)[::-1]
    return found


def place_binds(document: Document, root: Path) -> None:
    """Make relative binds those of the checkout. Raises RecipeFailedError for what is not there, or leads out of it."""
    for name, service in document["services"].items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and volume["source"].startswith("."):
                real = (root / volume["source"]).resolve()
                if root.resolve() not in (real, *real.parents):
                    raise RecipeFailedError(f"services.{name}: {volume['source']} lies outside the recipe")
                if not real.exists():
                    raise RecipeFailedError(f"services.{name}: {volume['source']} does not exist")
                volume["source"] = str(real)


@contextmanager
def _copy(root: Path, first: str, scope: Mapping[str, str], cli: DockerCli) -> Iterator[_Copy]:
    base = os.path.normpath(os.path.dirname(first) or ".")  # noqa: PTH120  (as the CLI does: links are not followed)
    if base.startswith(("..", "/")):
        raise RecipeFailedError(f"compose file: {first} lies outside the recipe", hint=_HINT)
    with tempfile.TemporaryDirectory(prefix="warmci-compose-") as directory:
        home = Path(directory).resolve()
        for part in ("config", "said", f"{_TREE}/{base}"):
            (home / part).mkdir(parents=True)
        yield _Copy(root, home, base, Variables(scope), cli)


@dataclass
class _Copy:
    """What the CLI is shown: laid out as the checkout, since it resolves paths against the first file's directory."""

    root: Path
    home: Path
    base: str
    variables: Variables
    cli: DockerCli

    @property
    def _tree(self) -> Path:
        return self.home / _TREE

    def load(self, name: str) -> Document:
        """One file, expanded and in long forms, env_file read into environment."""
        path = checkout_files.inside(self.root, name, what=_WHAT, hint=_HINT)
        text = self.variables.out(checkout_files.text(path, what=_WHAT))
        named = self._env_files(text, name)
        document = self.config([text], name)
        for key, service in document.get("services", {}).items():
            if not set(service.pop("env_file", [])) <= named:
                raise RecipeFailedError(f"{name}: services.{key}.env_file is hidden", hint="write it plainly")
            if "environment" in service:
                service["environment"] = self._resolved(service["environment"])
        return document

    def _resolved(self, environment: Mapping[str, Any]) -> dict[str, Any]:
        """A variable without a value has that of the recipe's scope, unset stays unset (None); so does abra.

        docker/cli, cli/compose/loader: updateEnvironment looks up what is null or empty.
        """
        return {key: value or self.variables.scope.get(key, value) for key, value in environment.items()}

    def _env_files(self, text: str, name: str) -> set[str]:
        """Copies the env files that a compose file names to where the CLI reads them; as it names them.

        It would read any file of the host, and quote it. So it first parses the text where nothing comes of it.
        """
        if "env_file" not in text and not {"\\", "!"} & set(text):
            return set()  # a key can be spelt otherwise by an escape or a tag only
        probe = self.config([compose_text.nested(text, _PROBE)], name).get(_PROBE)
        services = (probe.get("services") if isinstance(probe, dict) else None) or {}
        found: set[str] = set()
        for service in services.values() if isinstance(services, dict) else ():
            listed = service.get("env_file") if isinstance(service, dict) else None
            items = [listed] if isinstance(listed, str) else listed
            found |= {item for item in items if isinstance(item, str)} if isinstance(items, list) else set()
        for item in sorted(found):
            what = f"{name}: env_file"
            relative = os.path.normpath(f"{self.base}/{item}")
            if item.startswith("/") or relative.startswith(".."):
                raise RecipeFailedError(f"{what}: {item} lies outside the recipe", hint="name files of the recipe only")
            path = checkout_files.inside(self.root, relative, what=what)
            target = self._tree / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(checkout_files.content(path, what=what))
        return found

    def merge(self, parts: Sequence[Document], files: Sequence[str]) -> Document:
        """What the CLI makes of several; each is in long form already, which any version of the format may have."""
        if len({part.get("version") for part in parts}) == 1:
            for part in parts:
                part.pop("version", None)
        return self.config([compose_text.dump(part) for part in parts], ", ".join(files))

    def config(self, texts: Sequence[str], name: str) -> Document:
        """What the CLI prints of texts that have harmless names, the real ones back in it."""
        argv = [str(self.cli.path), "--config", str(self.home / "config"), "stack", "config"]
        for number, text in enumerate(texts):
            file = f"{self.variables.prefix}{number}.yml"
            (self._tree / self.base / file).write_text(text, encoding="utf-8", newline="")
            argv += ["--compose-file", file]
        said = self.home / "said"
        cwd, env = self._tree / self.base, self.variables.environment()
        code = process.run_limited(argv, limits=_LIMITS, timeout_s=_TIMEOUT_S, cwd=cwd, env=env, into=said)
        if code != 0:
            raise self._refusal(code, (said / "stderr").read_text(encoding="utf-8", errors="replace"), name)
        document: Document = self.variables.back(compose_text.read((said / "stdout").read_bytes()))
        return document

    def _refusal(self, code: int, stderr: str, name: str) -> RecipeFailedError | InfraError:
        if code < 0 or _COSTLY.search(stderr):
            bounds = f"{_LIMITS.cpu_s} s, {_LIMITS.memory // 2**20} MiB, {_LIMITS.output // 2**20} MiB of output"
            return RecipeFailedError(f"{name}: loading it takes too much", hint=f"more than {bounds}")
        if code in {126, 127}:
            return InfraError(f"Docker's CLI {self.cli} cannot be run: {stderr.strip()[-200:]}", hint="warmci doctor")
        words = " ".join(_WARNING.sub("", self.variables.back(stderr)).split())
        words = words.replace(f"{_PROBE}.", "")
        if f"{_PROBE}:" in (self._tree / self.base / f"{self.variables.prefix}0.yml").read_text(encoding="utf-8")[:9]:
            words = re.sub(r"\bline (\d+)", lambda match: f"line {int(match[1]) - 1}", words)
        shown = words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
        hint = "a literal dollar is $$" if "interpolat" in words else "docker stack config says the same"
        return RecipeFailedError(f"{name}: {shown}", hint=hint)

    def resolve_paths(self, document: Document) -> None:
        """From the copy to the checkout: what configs and secrets are made of, and relative binds."""
        for section in ("secrets", "configs"):
            for key, body in document[section].items():
                if body.get("file") and not body.get("external"):
                    relative = self._relative(body["file"])
                    body["file"] = str(checkout_files.inside(self.root, relative, what=f"{section}.{key}"))
        for service in document["services"].values():
            for volume in service.get("volumes", []):
                if volume["type"] == "bind":
                    volume["source"] = self._relative(volume["source"])

    def _relative(self, path: str) -> str:
        """As seen from the checkout's root, where the recipe wrote a relative path."""
        if not Path(path).is_relative_to(self.home):
            return path
        relative = os.path.relpath(path, self._tree)
        return relative if relative.startswith("..") else f"./{relative}"
