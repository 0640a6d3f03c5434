"""A recipe's secrets as abra makes them: the variable whose hints are a secret's, and a value that follows them."""

from __future__ import annotations

import re
import secrets
import string
from typing import TYPE_CHECKING

from warmci.base.errors import RecipeFailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
_SPECIAL = "!@#$%^&*_-+="
"""passgen.AlphabetSpecial of github.com/schultz-is/passgen, which abra generates with."""
_CHARSETS = {
    "default": _LETTERS_AND_DIGITS,
    "alnum": _LETTERS_AND_DIGITS,
    "alphanum": _LETTERS_AND_DIGITS,
    "alphanumeric": _LETTERS_AND_DIGITS,
    "alpha": string.ascii_letters,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "numeric": string.digits,
    "hex": "0123456789abcdef",
    "special": _LETTERS_AND_DIGITS + _SPECIAL,
    "safespecial": _LETTERS_AND_DIGITS + _SPECIAL.translate(str.maketrans("", "", "!#$^&*")),
}
_DEFAULT_LENGTH = 32
_LENGTHS = range(1, 4097)
_WORDS, _WORD_LENGTHS = 6, range(3, 10)
"""Of a passphrase: passgen's default, and the length of words in its list (the EFF's long one). That abra puts a -
between them is recalled, not read: its source cannot be had."""
_NO = {"0", "f", "false"}


def generated(hints: Mapping[str, str]) -> bool:
    """Whether abra would make the secret; with `generate=false` the operator gives it."""
    return hints.get("generate", "").lower() not in _NO


def doubts(name: str, hints: Mapping[str, str]) -> list[str]:
    """What in a secret's hints is passed over."""
    charsets = hints.get("charset", "default").split(",")
    unknown = [ascii(part) for part in charsets if part.lower() not in _CHARSETS]
    return [f"{name}: charset {part} is not known: letters and digits are used" for part in unknown]


def generate_secret(hints: Mapping[str, str], *, where: str) -> str:
    """A secret as the recipe's `# length= charset=` hints ask; without them words with - between, as abra makes it.

    Raises RecipeFailedError for a length that is none, UsageError where the recipe leaves the secret to the operator.
    """
    if not generated(hints):
        raise UsageError(
            f"{where}: the recipe says generate=false, and nobody gave it",
            hint="give it a value under [secrets] in the recipe's recipe.toml",
        )
    if not {"length", "charset"} & set(hints):
        return "-".join(_letters(string.ascii_lowercase, secrets.choice(_WORD_LENGTHS)) for _ in range(_WORDS))
    length = hints.get("length", str(_DEFAULT_LENGTH))
    if not re.fullmatch("[0-9]{1,4}", length) or int(length) not in _LENGTHS:
        raise RecipeFailedError(f"{where}: length {length!r} is not a number from 1 to {_LENGTHS[-1]}")
    names = hints.get("charset", "default").lower().split(",")
    alphabet = sorted(set().union(*(_CHARSETS.get(name, _LETTERS_AND_DIGITS) for name in names)))
    return _letters(alphabet, int(length))


def _letters(alphabet: Sequence[str], length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
