"""Which red of a quick run may be its overlay's doing, and which cannot, so that a second try would say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.cause_of import find_cause

if TYPE_CHECKING:
    from collections.abc import Collection

    from warmci.base.errors import RecipeFailedError

_WITHOUT_DATA = frozenset(
    {
        "missing image",
        "missing secret",
        "missing variable",
        "no such user",
        "not accepted by swarm",
        "program not found",
    }
)
"""Kinds of cause that no data can bring about in a service that has none."""


def may_be(red: RecipeFailedError, *, ran: bool, with_data: Collection[str]) -> bool:
    """Whether another try on a copy may go otherwise; in doubt it may.

    ran: what failed had been submitted to swarm. with_data: services that mount a volume. A service without one may
    well fail because another's data is not what was written: so its own words must tell a cause that needs no data.
    """
    if red.final or not ran or not with_data:
        return False
    cause = find_cause(red.message, red.log)
    by_itself = cause is not None and cause.kind in _WITHOUT_DATA
    return not (by_itself and red.service and red.service not in with_data)
