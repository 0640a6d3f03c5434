"""What may become of canonical.json: each kind of damage by the function that does it to the file's bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _changed(whole: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(whole) | changes).encode()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty object": lambda _: b"{}",
    "null": lambda _: b"null",
    "list": lambda _: b"[]",
    "zeros": lambda whole: b"\0" * len(whole),
    "zero tail": lambda whole: whole[: len(whole) // 2] + b"\0" * (len(whole) // 2),
    "bad utf-8": lambda whole: whole.replace(b"demo", b"\xff\xfe"),
    "utf-16": lambda whole: whole.decode().encode("utf-16"),
    "newer version": lambda whole: _changed(whole, schema_version=2),
    "older version": lambda whole: _changed(whole, schema_version=0),
    "version as text": lambda whole: _changed(whole, schema_version="1"),
    "version as truth": lambda whole: _changed(whole, schema_version=True),
    "unknown field": lambda whole: _changed(whole, surprise=1),
    "unknown state": lambda whole: _changed(whole, state="fine"),
    "secret of a wrong type": lambda whole: _changed(whole, secrets={"db_password": ["canary-5eCret"]}),
    "other recipe": lambda whole: _changed(whole, recipe="other"),
    "key twice": lambda whole: whole.replace(b"{", b'{"recipe": "demo",', 1),
    "not a number": lambda whole: whole.replace(b"20000", b"NaN"),
    "infinite depth": lambda _: b"[" * 100_000,
    "more after the end": lambda whole: whole + b"{}",
}
