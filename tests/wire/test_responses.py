"""A status and a body become the right error, in the server's own words."""

from __future__ import annotations

import pytest

from ollameter import InvalidResponse, ModelNotFound, ResponseError, ServerBusy
from ollameter.wire.responses import decode_object, error_from_response

CASES = [
    (404, b'{"error":"model \'x\' not found"}', ModelNotFound, "model 'x' not found"),
    (404, b'{"error":"model \\"x\\" not found, try pulling it first"}', ModelNotFound,
     'model "x" not found, try pulling it first'),
    (404, b"404 page not found", ResponseError, "404 page not found"),
    (404, b'{"error":"blob not found"}', ResponseError, "blob not found"),
    (400, b'{"error":{"code":400,"message":"bad"}}', ResponseError, "bad"),
    (400, b'{"error":{"code":400}}', ResponseError, '{"code":400}'),
    (400, b'{"error":"{not json"}', ResponseError, "{not json"),
    (500, b'{"error":""}', ResponseError, '{"error":""}'),
    (401, b'{"error":"unauthorized","signin_url":"https://x"}', ResponseError, "unauthorized"),
    (403, b"", ResponseError, "HTTP status 403 without a text"),
    (502, b"<html><head><title>502 Bad\n Gateway</title></head><body>x</body></html>", ResponseError,
     "502 Bad Gateway"),
    (502, b"<p>proxy</p> down", ResponseError, "proxy down"),
    (500, b"\xff\xfe", ResponseError, "\ufffd\ufffd"),
    (503, b'{"error":"server busy"}', ServerBusy, "server busy"),
    (429, b'{"error":"slow down"}', ServerBusy, "slow down"),
    (302, b"", ResponseError,
     "the server redirects (302) to nowhere; redirects are not followed: set base_url to it"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "words"), CASES)
def test_an_error_answer_becomes_the_error_it_stands_for(
    status: int, body: bytes, kind: type, words: str
) -> None:
    """Class, words, status."""
    error = error_from_response(status, body)

    assert (type(error), str(error), error.status_code, error.error_type) == (
        kind, words, status, str(status),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), (None, None), ("Fri, 31 Dec", None), ("-1", None)]
)
def test_what_a_busy_server_asks_for_is_kept(header: str | None, seconds: float | None) -> None:
    """In seconds; a date is not guessed at."""
    error = error_from_response(503, b"", retry_after=header)

    assert isinstance(error, ServerBusy)
    assert error.retry_after_s == seconds


def test_a_redirect_names_a_host_and_no_secret() -> None:
    """A relative one stays on the same host."""
    elsewhere = error_from_response(301, b"", location="https://u:pw@else.example:1/x?y")

    assert "to else.example;" in str(elsewhere)
    assert "pw" not in str(elsewhere)
    assert "another path of the same host" in str(error_from_response(301, b"", location="/x"))


def test_an_error_text_is_bounded() -> None:
    """Ten megabytes of a proxy's page do not end up in a log."""
    assert len(str(error_from_response(500, b"x" * 10_000))) == 2000


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object_is_refused(body: bytes) -> None:
    """With our error."""
    with pytest.raises(InvalidResponse):
        decode_object(body)
