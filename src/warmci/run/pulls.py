"""The stage before anything is deployed: the images of base and head are on the engine, or it is said why not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from warmci.base.errors import RecipeFailedError, UnverifiedError
from warmci.base.side_by_side import beside, result
from warmci.recipe import reading
from warmci.swarm.pull import MissingImageError, provide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from warmci.recipe.render import Placement, Rendered
    from warmci.recipe.repository import Release
    from warmci.run.context import Context

_BASES = 5
"""Older releases that are tried at most; what is gone at the fifth is a recipe whose past is gone."""


def rendered_at(context: Context, placement: Placement, env_commit: str, commit: str) -> Rendered:
    """A commit's document with the .env that env_commit made, as it is deployed."""
    realm = context.realm.env(placement.facts) if context.realm else None  # asked before there is one: for images
    asked = (context.settings, context.config, context.repository, placement, commit, env_commit)
    return reading.rendered_at(*asked, realm=realm)


@dataclass(frozen=True)
class Provided:
    """What a cold run deploys."""

    base: Release | None
    """The newest whose images can be had; None where there is no such."""
    documents: tuple[Rendered, ...]
    """Of head and base, as far as they can be read."""


def provide_cold(context: Context, placement: Placement, bases: Sequence[Release]) -> Provided:
    """Pull for the head, then for the newest base whose images can be had.

    Raises MissingImageError for the head's, InfraError for what is no recipe's fault.
    """
    with context.recorder.stage("images") as stage:
        documents = [rendered_at(context, placement, context.head, context.head)]
        come = pull(context, _images(documents))
        base = None
        for release in bases[:_BASES]:
            past = _past(context, placement, release.commit)
            try:
                come += pull(context, _images(past))
            except MissingImageError as error:
                context.deviate(f"{release.version} is no base: {error.message}")
                continue
            base = release
            aged = rendered_at(context, placement, release.commit, context.head)
            come += pull(context, _images([aged]))
            documents += [*past, aged]
            break
        stage.detail = _told(come) + ("; the base's image is gone" if bases and base is None else "")
    return Provided(base, tuple(documents))


def provide_aged(context: Context, placement: Placement, env_commit: str, commit: str, *, head: str = "") -> None:
    """Pull for a canonical, and for the head that it is upgraded to. Raises UnverifiedError where the past is gone."""
    with context.recorder.stage("images") as stage:
        wanted = [each for each in (head, commit) if each]
        for each in dict.fromkeys([*wanted, env_commit]):
            context.repository.checkout(each)  # git makes work trees one at a time
        with beside(len(wanted)) as side:
            read = [side.begin(partial(rendered_at, context, placement, env_commit, each)) for each in wanted]
            come = [name for of_head in read[:-1] for name in pull(context, _images([result(of_head)]))]
        try:
            come += pull(context, _images([result(read[-1])]))
        except MissingImageError as error:
            raise UnverifiedError(
                f"not verified: the canonical's image is gone: {error.message}",
                hint=f"{context.request.command} --reseed starts from what there is today",
            ) from error
        stage.detail = _told(come)


def _images(documents: Iterable[Rendered]) -> list[str]:
    return [image for rendered in documents for image in rendered.images.values()]


def _past(context: Context, placement: Placement, commit: str) -> list[Rendered]:
    """A release that cannot be read tells so at its own install."""
    try:
        return [rendered_at(context, placement, commit, commit)]
    except RecipeFailedError:
        return []


def pull(context: Context, wanted: list[str]) -> list[str]:
    return provide(
        context.engine,
        wanted,
        state_dir=context.settings.state_dir,
        run=context.run_id,
        deadline_s=context.settings.pull_timeout_s,
        on_change=context.console.progress,
    )


def _told(come: list[str]) -> str:
    return f"pulled {', '.join(come)}" if come else "all are on the engine"
