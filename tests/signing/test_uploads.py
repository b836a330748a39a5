# SPDX-License-Identifier: Apache-2.0
"""Requests to services: order, retries, time limits and error messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import requests

from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.signing import uploads
from provenance.signing.uploads import explained, in_parallel
from provenance.signing.waiting import TransientError

pytestmark = pytest.mark.usefixtures("no_waiting")


def nothing() -> None:
    """Do nothing after an item."""


def http(status: int, text: str = "", url: str = "http://log.test/api/v2/log/entries") -> Exception:
    response = requests.Response()
    response.status_code, response._content = status, text.encode()
    request = requests.Request("POST", url).prepare()
    return requests.HTTPError(response=response, request=request)


def wrapped(error: Exception) -> Exception:
    """Wrap an error as clients wrap those of their HTTP library."""
    try:
        raise RuntimeError("client") from error
    except RuntimeError as e:
        return e


def failing(times: int, error: Exception) -> tuple[Callable[[int], int], list[int]]:
    """Return work that fails a number of times before it succeeds, and the list of its calls."""
    asked: list[int] = []

    def work(item: int) -> int:
        asked.append(item)
        if len(asked) <= times:
            raise error
        return item

    return work, asked


def test_results_are_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * 2

    assert in_parallel(work, range(10), nothing, threads=4) == [i * 2 for i in range(10)]


def test_empty_list_starts_no_thread() -> None:
    before = threading.active_count()
    assert in_parallel(lambda _: 1, [], nothing) == []
    assert threading.active_count() == before


TRANSIENT = {
    "a refused connection": requests.ConnectionError(),
    "a time-out": requests.Timeout(),
    "HTTP 500": http(500),
    "HTTP 503": http(503),
    "too many requests": http(429),
    "wrapped by a client": wrapped(http(502)),
    "raised by this project": TransientError("no timestamp"),
}
FINAL = {
    "HTTP 400": http(400),
    "HTTP 401": http(401),
    "HTTP 428": http(428),
    "an answer that is not JSON": requests.JSONDecodeError("x", "y", 0),
    "a wrong value": ValueError("x"),
    "unavailable": UnavailableError("no"),
    "an invalid input": InputError("no"),
}


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_transient_error_is_retried_a_few_times(error: Exception) -> None:
    work, asked = failing(uploads.ATTEMPTS - 1, error)
    assert in_parallel(work, [7], nothing) == [7]
    assert len(asked) == uploads.ATTEMPTS
    work, asked = failing(uploads.ATTEMPTS, error)
    with pytest.raises(UnavailableError):
        in_parallel(work, [7], nothing)
    assert len(asked) == uploads.ATTEMPTS


@pytest.mark.parametrize("error", FINAL.values(), ids=FINAL)
def test_final_error_is_not_retried(error: Exception) -> None:
    work, asked = failing(1, error)
    with pytest.raises(ProvenanceError):
        in_parallel(work, [7], nothing)
    assert asked == [7]


def test_each_attempt_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waits = [uploads.BACKOFF(type("S", (), {"attempt_number": n})()) for n in (1, 2, 3, 9)]
    assert 0.5 <= waits[0] <= 1.5
    assert 1 <= waits[1] <= 2
    assert 2 <= waits[2] <= 3
    assert waits[3] == 5


def test_first_error_ends_the_work() -> None:
    asked: list[int] = []

    def work(item: int) -> int:
        asked.append(item)
        raise ValueError(item)

    with pytest.raises(UnavailableError):
        in_parallel(work, range(1000), nothing, threads=2)
    time.sleep(0.05)
    assert len(asked) <= 2  # what each thread had begun


def test_item_that_takes_too_long_ends_the_work() -> None:
    over = threading.Event()
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"did not answer within 0.1 seconds"):
        in_parallel(lambda _: over.wait(30), [1], nothing, timeout=0.1)
    over.set()
    assert time.monotonic() - started < 10


def test_each_item_has_the_whole_time() -> None:
    assert len(in_parallel(lambda _: time.sleep(0.1), range(4), nothing, threads=1, timeout=0.3))


def lost(error: type[requests.RequestException], url: str) -> Exception:
    return error(request=requests.Request("POST", url))


LOG = "the transparency log http://log.test/api/v2/log/entries failed"
TSA = r"the timestamp authority http://t.test/timestamp does not answer \(ConnectionError\)"
REDIRECTS = r"the service http://x.test gave an unexpected .* \(TooManyRedirects\)"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (http(503, "busy"), LOG),
        (http(400, "bad", "http://ca.test/api/v2/signingCert"), "authority .* refused"),
        (http(400, "", "http://elsewhere.test/"), "the service http://elsewhere.test/ refused"),
        (lost(requests.ConnectionError, "http://t.test/timestamp"), TSA),
        (lost(requests.TooManyRedirects, "http://x.test"), REDIRECTS),
        (ValueError("no base64"), "a service gave an unexpected answer: no base64"),
        (KeyError(), "unexpected answer: KeyError"),
        (TransientError("no timestamp"), "no timestamp"),
    ],
)
def test_error_names_the_service_and_the_cause(error: Exception, words: str) -> None:
    found = explained(error)
    assert isinstance(found, UnavailableError)
    assert found.help is not None
    with pytest.raises(UnavailableError, match=words):
        raise found


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "error",
    [
        http(401, f"bad token: {TOKEN}!"),
        ValueError(f"cannot read {TOKEN}"),
        TransientError(f"refused {TOKEN}"),
    ],
)
def test_error_does_not_show_a_token(error: Exception) -> None:
    found = explained(error)
    assert "[token]" in found.message
    for part in TOKEN.split("."):
        assert part not in found.message
