"""One look at one thing, for doctor: its status, what was seen, the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from warmci.base.errors import InterruptedRunError, WarmciError
from warmci.base.models import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Check(Record):
    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    hint: str = ""


def checked(name: str, look: Callable[[], Check]) -> Check:
    """The look's own answer, or what it ran into."""
    try:
        return look()
    except InterruptedRunError:
        raise
    except (WarmciError, OSError) as error:
        return Check(name=name, status="failed", detail=str(error), hint=getattr(error, "hint", "") or "")
