"""A recipe's repository: clone, refs, releases, checkouts, trust."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warmci.base import names, process
from warmci.base.errors import InfraError, UnverifiedError, UsageError
from warmci.recipe import worktree
from warmci.recipe.git import CLONE_TIMEOUT_S, git, require_small
from warmci.recipe.loads import Loads
from warmci.recipe.sources import first, sources

if TYPE_CHECKING:
    from warmci.base.settings import Settings
    from warmci.recipe.sources import Source

_RELEASE = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})\+(.+)")
_WHOLE_COMMIT = re.compile(r"[0-9a-f]{40}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_TAGS_SHOWN = 5


@dataclass(frozen=True)
class Release:
    version: str
    commit: str


def version_key(version: str) -> tuple[int, int, int, str]:
    """Order of recipe versions: `1.2.3+upstream`, the recipe's own part first; upstream's numbers count as numbers."""
    match = _RELEASE.fullmatch(version)
    if match is None:
        return (-1, 0, 0, version)
    upstream = re.sub(r"[0-9]+", lambda number: number[0].zfill(8), match[4])
    return (int(match[1]), int(match[2]), int(match[3]), upstream)


class Repository:
    """A clone of a recipe, made for one run."""

    def __init__(self, recipe: str, path: Path, source: str = "", here: str = "") -> None:
        """here: what is checked out in the directory that the operator named; empty where none was named."""
        self.recipe, self.path, self.source, self.here = recipe, path, source, here
        self.loads = Loads()
        self._tagged: dict[str, dict[str, str]] = {}

    def resolve(self, ref: str, pr: str = "") -> str:
        """The commit that a branch, tag or commit names; without a ref, the head of the forge's pull request.

        Where the forge has that pull request, its head is the answer, whatever branch is named. Raises UsageError.
        """
        head = self._pull_request(pr) if pr.isdecimal() else ""
        if not ref:
            if head:
                return head
            raise UsageError(f"recipe {self.recipe} has no pull request {pr}", hint="name its branch with --ref")
        names.git_ref(ref)
        commit, by_hash = self._named(ref)
        if head and not by_hash:
            return head  # a fork's branch may well be called as one of ours
        if not commit:
            hint = f"git ls-remote {self.source} lists what there is"
            raise UsageError(f"recipe {self.recipe} has no branch, tag or commit {ref}", hint=hint)
        if head and commit != head:
            raise UsageError(f"{ref} is not the head of pull request {pr}, which is {head[:8]}", hint="leave out --ref")
        return commit

    def _named(self, ref: str) -> tuple[str, bool]:
        """The commit that ref names, empty where it names none, and whether it names it by its hash.

        A release's name is its tag's, whatever branch has it too. A whole hash goes before everything, a shortened one
        after the branch or tag that is called so.
        """
        if _WHOLE_COMMIT.fullmatch(ref) and (commit := self._commit(ref)):
            return commit, True
        named = [f"refs/remotes/origin/{ref}", f"refs/tags/{ref}"]
        for name in reversed(named) if _RELEASE.fullmatch(ref) else named:
            if commit := self._commit(name):
                return commit, False
        commit = self._commit(ref) if _COMMIT.fullmatch(ref) else ""
        return commit, bool(commit or _WHOLE_COMMIT.fullmatch(ref))

    def _pull_request(self, number: str) -> str:
        """The head of refs/pull/N/head, where Gitea, Forgejo and GitHub keep it; empty where there is none."""
        local = f"refs/warmci/pull/{number}"
        spec = f"+refs/pull/{number}/head:{local}"
        git("fetch", "--quiet", "origin", spec, cwd=self.path, timeout_s=CLONE_TIMEOUT_S, check=False)
        return self._commit(local)

    def _commit(self, name: str) -> str:
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", cwd=self.path, check=False)

    def default_ref(self) -> str:
        head = git("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", cwd=self.path, check=False)
        if not head:
            raise UsageError(f"recipe {self.recipe} has no default branch", hint="name one with --ref")
        return head.removeprefix("refs/remotes/origin/")

    def usual_ref(self) -> str:
        """What is tested where no ref is named. Raises UsageError where there is nothing such."""
        return self.here or self.default_ref()

    def is_trusted(self, commit: str) -> bool:
        """Whether the default branch contains the commit: only such code promotes."""
        default = "refs/remotes/origin/HEAD"
        return self.contains(default) and self.descends(default, commit)

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether `ancestor` is in the history of `commit`; a commit descends from itself."""
        try:
            git("merge-base", "--is-ancestor", ancestor, commit, cwd=self.path)
        except process.CommandError as error:
            if error.returncode < 0:  # no end, or killed: that is no answer
                raise
            return False
        return True

    def contains(self, commit: str) -> bool:
        return bool(git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}", cwd=self.path, check=False))

    def releases(self, head: str) -> list[Release]:
        """Releases that are part of head's history, oldest version first: tags alone, whatever branches are called."""
        found = {tag: commit for tag, commit in self._tags(head).items() if _RELEASE.fullmatch(tag)}
        return [Release(tag, found[tag]) for tag in sorted(found, key=version_key)]

    def passed_over(self, head: str) -> list[str]:
        """A sentence for the result about tags in head's history that are no release, the newest first; or none."""
        tags = [tag for tag in self._tags(head) if not _RELEASE.fullmatch(tag)]
        shown = ", ".join(tags[:_TAGS_SHOWN]) + (f" and {len(tags) - _TAGS_SHOWN} more" if tags[_TAGS_SHOWN:] else "")
        return [f"tags that are no release (x.y.z+upstream) are passed over: {shown}"] if tags else []

    def lightweight_tags(self, head: str) -> list[str]:
        """Releases in head's history whose tag is no object of its own."""
        kinds = git("for-each-ref", "--format=%(objecttype) %(refname:lstrip=2)", "refs/tags", cwd=self.path)
        light = {line.partition(" ")[2] for line in kinds.splitlines() if line.startswith("commit ")}
        return [release.version for release in self.releases(head) if release.version in light]

    def _tags(self, head: str) -> dict[str, str]:
        """Tag to the commit that it names, the newest first. Asked once of each head: a clone's tags stay."""
        if head not in self._tagged:
            form = "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname) %(refname:lstrip=2)"
            lines = git("tag", "--merged", head, "--sort=-creatordate", form, cwd=self.path).split("\n")
            self._tagged[head] = dict(map(self._tag, filter(None, lines)))
        return self._tagged[head]

    def _tag(self, line: str) -> tuple[str, str]:
        kind, name, inner_kind, inner, tag = line.split(" ", 4)
        commit = name if kind == "commit" else inner if inner_kind == "commit" else self._commit(f"refs/tags/{tag}")
        return tag, commit

    def base_for(self, head: str) -> Release | None:
        """The newest release older than head: what people run today. None for a first release."""
        return next(iter(self.bases_for(head)), None)

    def bases_for(self, head: str) -> list[Release]:
        """All releases older than head, the newest first."""
        releases = self.releases(head)
        own = [release for release in releases if release.commit == head]
        limit = version_key(own[0].version) if own else None
        if not releases:
            # A history without releases is still a new version for those who run one.
            newest = self.releases("refs/remotes/origin/HEAD") if self.contains("refs/remotes/origin/HEAD") else []
            releases = [release for release in newest if not self.descends(release.commit, head)]
        older = [r for r in releases if r.commit != head and (limit is None or version_key(r.version) < limit)]
        return older[::-1]

    def version_of(self, commit: str) -> str:
        """The release that the commit is, or its short hash."""
        own = [release.version for release in self.releases(commit) if release.commit == commit]
        return own[-1] if own else commit[:8]

    def checkout(self, commit: str) -> Path:
        """A work tree of its own per commit; runs of one recipe never share one."""
        tree = self.path.parent / f"tree-{commit[:12]}"
        if not tree.exists():
            require_small(self.path, commit)
            git("worktree", "add", "--quiet", "--detach", str(tree), commit, cwd=self.path)
        return tree

    def release_note(self, commit: str, version: str) -> str:
        """What the recipe's release/VERSION says to operators, as of commit; empty where there is none."""
        return git("show", f"{commit}:release/{version}", cwd=self.path, check=False)


def wanted_releases(repository: Repository, pinned: str) -> list[Release]:
    """Releases on the recipe's default branch, oldest first; only the pinned one where there is one.

    Raises UsageError when there is none.
    """
    found = repository.releases(f"refs/remotes/origin/{repository.default_ref()}")
    wanted = [release for release in found if not pinned or release.version == pinned]
    if not wanted:
        what, name = f"no release {pinned}" if pinned else "no release", repository.recipe
        raise UsageError(f"the {name} recipe has {what}", hint=f"see {name}_ref in the settings")
    return wanted


def list_releases(settings: Settings, recipe: str) -> list[Release]:
    """Releases of a recipe, oldest version first, by one question to its forge, without a clone. Raises InfraError."""
    # ls-remote serves local repositories by the same other half as clone does.
    asked, doing = sources(settings, recipe), f"releases of {recipe} cannot be listed"
    try:
        _, text = first(recipe, asked, lambda one: git("ls-remote", "--tags", *one.asking, "--", one.url), doing)
    except UsageError as error:
        raise InfraError(f"{doing}: {error.message}", hint=error.hint) from error
    commits: dict[str, str] = {}
    for line in text.splitlines():
        commit, _, name = line.partition("\trefs/tags/")
        if name.endswith("^{}") or name not in commits:  # the commit of an annotated tag comes after the tag's own
            commits[name.removesuffix("^{}")] = commit
    found = [name for name in commits if _RELEASE.fullmatch(name)]
    return [Release(name, commits[name]) for name in sorted(found, key=version_key)]


def default_head(settings: Settings, recipe: str) -> str:
    """The commit that the recipe's default branch is at, without a clone; empty when its forge does not say."""
    asked, doing = sources(settings, recipe), f"the default branch of {recipe} cannot be asked for"
    try:
        _, text = first(recipe, asked, lambda one: git("ls-remote", *one.asking, "--", one.url, "HEAD"), doing)
    except (InfraError, UsageError):
        return ""
    return text.split()[0] if text else ""


def clone(settings: Settings, recipe: str, work_dir: Path, named: str = "") -> Repository:
    """Clone a recipe into a run's work directory; `named` is the directory or URL that a command named it by.

    Raises UsageError for an unknown recipe, InfraError otherwise.
    """
    target = work_dir / "repository"

    def fetch(one: Source) -> str:
        options = ("--quiet", "--no-checkout", *one.cloning)
        return git("clone", *options, "--", one.url, str(target), timeout_s=CLONE_TIMEOUT_S)

    found, _ = first(recipe, sources(settings, recipe, named), fetch, f"recipe {recipe} cannot be cloned")
    if not git("for-each-ref", "--count=1", cwd=target):
        raise UnverifiedError(f"the repository of recipe {recipe} is empty")
    here = worktree.settle(target, Path(named)) if named and found.is_local else ""
    return Repository(recipe, target, found.public, here)
