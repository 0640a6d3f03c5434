"""The port of abra's .env reader beside the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.godotenv import godotenv
from warmci.recipe.godotenv import MalformedError, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TELLING = ["\r\n", "export ", "${A}", "$A", "\\$", " # ", *"\"'#$\\{}()=: \t\n\r.AB0_ab-|;é\u00a0\u0085\u2028\ufeff\0"]
_LINES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "export ", "export\t", " ", "# ", "\ufeff"]),
        st.sampled_from(["A", "B", "AB", "A.B", "a", "A B", "1", "é", "", "SECRET_A_VERSION"]),
        st.sampled_from(["=", ":", ": ", " = ", "==", "", "=\t"]),
        st.sampled_from(["", '"', "'", '"\n', "'\r\n", "\\"]),
        st.lists(st.sampled_from(_TELLING), max_size=8).map("".join),
        st.sampled_from(["", '"', "'", " # length=3", "#x", '" # x', "' B=2", "\\"]),
        st.sampled_from(["\n", "\r\n", "\n\n", "\r", ""]),
    ),
)
_TEXTS = st.one_of(
    st.lists(_LINES, max_size=6).map("".join).map(str.encode),
    st.lists(st.sampled_from(_TELLING), max_size=30).map("".join).map(str.encode),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(str.encode),
    st.binary(max_size=30),
)


@pytest.fixture(scope="module")
def real() -> Iterator[Callable[[bytes], dict[str, str] | None]]:
    with godotenv() as read:
        yield read


def ours(text: bytes) -> dict[str, str] | None:
    values: dict[str, str] = {}
    try:
        for statement in statements(text.decode("utf-8", "surrogateescape")):
            values[statement.name] = statement.value(values)
    except MalformedError:
        return None
    return {shown(name): shown(value) for name, value in values.items()}


def shown(text: str) -> str:
    """As the program's JSON has it: each byte that is no UTF-8 is a U+FFFD."""
    return "".join("\ufffd" if 0xDC80 <= ord(char) <= 0xDCFF else char for char in text)


@settings(max_examples=1500, deadline=None)
@given(_TEXTS)
@example(b'A="first\nsecond"\nB=${A}')
@example(b"A: 1\nB : 2\nA.B=1")
@example(b"A=^/api/.*$\nB=$(date)\nC=$lower\nD=\\$A\nE=${A:-d}\nF=$A-x\nG=${NONE}|")
@example(rb'A="a\nb\tc\\d\"e\$A"' + b"\nB='\\n$A'")
@example("# a\u2028b\nA=1\u2028".encode())
@example(b"\xef\xbb\xbfA=1")
@example(b"A=1 # b # c\nB=1#2\nC=#3\nD= # 4")
@example(b"A=1\r\nB='2'\r\nC=3\rD=4")
@example(b"export A=1\nexport\nexportB=2")
@example(b"WORD")
@example(b"=1\n")
@example(b"A")
def test_the_port_reads_what_the_real_one_reads(real: Callable[[bytes], dict[str, str] | None], text: bytes) -> None:
    assert ours(text) == real(text)
