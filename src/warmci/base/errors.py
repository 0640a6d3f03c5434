"""Every failure a user may see, each with its exit code. Errors carry data; they never print, log or exit."""

from __future__ import annotations


class WarmciError(Exception):
    """Base of all expected failures: one line that says what failed on which object, and the next command."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeFailedError(WarmciError):
    """The recipe under test is at fault; a retry will not help."""

    exit_code = 1
    final = False
    """Whether another try, on whichever data, says the same: it is of the recipe's text, or a registry's word."""

    def __init__(self, message: str, *, hint: str | None = None, log: str = "", service: str = "") -> None:
        super().__init__(message, hint=hint)
        self.log = log
        """Last lines of the failing task, redacted by whoever renders them."""
        self.service = service
        """The one that failed, as the recipe calls it; empty where it is none, or not known."""
        self.again = False
        """Whether the run tries once more before it tells."""


class RefusedError(RecipeFailedError):
    """The trust gate refuses what the recipe asks for (docs/security.md); the operator may allow it."""

    final = True

    def __init__(
        self, message: str, *, hint: str | None = None, log: str = "", refused: dict[str, list[str]] | None = None
    ) -> None:
        """refused: each word for recipe.toml's `allow`, with the reasons."""
        super().__init__(message, hint=hint, log=log)
        self.refused = refused or {}


class UsageError(WarmciError):
    """Wrong arguments, names or settings."""

    exit_code = 2


class InfraError(WarmciError):
    """Engine, Keycloak, network or disk: the run may be retried."""

    exit_code = 3


class PromotionError(WarmciError):
    """The cold run passed, the canonical could not be moved; the old one stands."""

    exit_code = 4


class RollbackError(WarmciError):
    """The run failed and its roll-back too: the canonical is marked dirty."""

    exit_code = 5


class UnverifiedError(WarmciError):
    """Nothing was tested, so nothing may be called green."""

    exit_code = 6


class BusyError(WarmciError):
    """A lock or slot was not obtained in time."""

    exit_code = 75


class InterruptedRunError(WarmciError):
    """SIGINT or SIGTERM; clean-up has been done by whoever held resources."""

    exit_code = 130
