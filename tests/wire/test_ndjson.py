"""Lines are cut at LF and nowhere else, wherever the pieces are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollameter import InvalidResponse
from ollameter.wire.ndjson import LineSplitter


def test_a_piece_of_one_line_is_one_line() -> None:
    """The ordinary case: one line in one HTTP chunk."""
    assert LineSplitter().feed(b'{"a":1}\n') == [b'{"a":1}']


def test_a_line_is_put_together_from_its_pieces() -> None:
    """What follows the last LF waits for the next piece."""
    splitter = LineSplitter()

    assert [splitter.feed(piece) for piece in (b"ab", b"c", b"d\nef\ng")] == [
        [],
        [],
        [b"abcd", b"ef"],
    ]
    assert splitter.rest() == b"g"
    assert splitter.rest() == b""


def test_blank_lines_are_left_out_and_cr_is_left_to_json() -> None:
    """CRLF endings and keep-alive newlines are harmless."""
    splitter = LineSplitter()

    assert splitter.feed(b"\r\n\n  \n{}\r\n \r") == [b"{}\r"]
    assert splitter.rest() == b""


def test_other_line_separators_of_unicode_do_not_cut() -> None:
    """U+0085, U+2028 and U+2029 may stand in JSON text as they are."""
    line = '{"a":"\u0085\u2028\u2029\x0b"}'.encode()

    assert LineSplitter().feed(line + b"\n") == [line]


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6, b"x" * 6], [b"x" * 6, b"x" * 5 + b"\n"]])
def test_a_line_over_the_bound_is_refused(pieces: list[bytes]) -> None:
    """Whether or not its LF has come."""
    splitter = LineSplitter(max_line_bytes=10)

    with pytest.raises(InvalidResponse, match="more than 10 bytes"):
        for piece in pieces:
            splitter.feed(piece)


def test_many_short_lines_may_exceed_the_bound_together() -> None:
    """The bound is one of a line, not of a piece."""
    assert len(LineSplitter(max_line_bytes=10).feed(b"12345678\n" * 100)) == 100


@given(st.lists(st.binary(max_size=8)), st.lists(st.integers(0, 40)))
def test_any_cut_gives_the_same_lines(lines: list[bytes], cuts: list[int]) -> None:
    """The pieces in which bytes arrive never show in the lines."""
    body = b"\n".join(lines)
    splitter = LineSplitter()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]

    got = [line for a, b in zip(edges, edges[1:], strict=False) for line in splitter.feed(body[a:b])]
    rest = splitter.rest()

    wanted = [line for line in body.split(b"\n") if line and not line.isspace()]
    assert got + ([rest] if rest else []) == wanted
