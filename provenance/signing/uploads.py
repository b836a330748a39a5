# SPDX-License-Identifier: Apache-2.0
"""Requests to services: in parallel, with retries, and with a time limit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from provenance.errors import ProvenanceError, UnavailableError
from provenance.signing.waiting import AGAIN, THREADS, TIMEOUT, TransientError, redacted

if TYPE_CHECKING:
    import requests

ATTEMPTS: Final = 4
BACKOFF: Final = wait_exponential_jitter(multiplier=0.5, max=5)
UNKNOWN: Final = (
    "Nothing was written. Check that the identity token has not expired, and that this instance "
    "knows its issuer."
)
DECEIVED: Final = (
    "Nothing was written. Either the trust configuration describes another instance, or this "
    "instance cannot be trusted: ask its operator."
)

_ROLES: Final = (
    ("/signingCert", "certificate authority"),
    ("/log/entries", "transparency log"),
    ("/timestamp", "timestamp authority"),
)

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def in_parallel(
    work: Callable[[_Item], _Done],
    items: Sequence[_Item],
    done: Callable[[], None],
    *,
    threads: int = THREADS,
    timeout: float = TIMEOUT,
) -> list[_Done]:
    """Call `work` for each item in parallel, with retries, and return the results in order.

    The threads are daemons: a thread that waits for a service that never answers cannot be
    stopped, and must not keep the process alive.

    Args:
        work: The work for one item.
        items: The items.
        done: Called in the calling thread after each item.
        threads: The maximum number of threads.
        timeout: The time limit for one item, in seconds.

    Raises:
        ProvenanceError: If `work` raises it.
        UnavailableError: If `work` raises another error, or an item exceeds its time limit.
    """
    left = deque(enumerate(items))
    started: dict[int, float] = {}
    outcomes: SimpleQueue[tuple[int, _Done | None, Exception | None]] = SimpleQueue()
    lock, stop = Lock(), Event()

    def run() -> None:
        while not stop.is_set():
            with lock:
                if not left:
                    return
                at, item = left.popleft()
                started[at] = time.monotonic()
            try:
                outcomes.put((at, _with_retries(work, item), None))
            except Exception as e:  # raised again in the calling thread
                outcomes.put((at, None, e))
                stop.set()

    results: dict[int, Any] = {}
    for _ in range(min(threads, len(items))):
        Thread(target=run, daemon=True).start()
    try:
        while len(results) < len(items):
            with lock:
                oldest = min(started.values(), default=time.monotonic())
            left_to_wait = oldest + timeout - time.monotonic()
            try:
                at, result, error = outcomes.get(timeout=max(0.01, left_to_wait))
            except Empty:
                if left_to_wait > 0:
                    continue  # another item has become the oldest
                raise UnavailableError(
                    f"the signing services did not answer within {timeout:g} seconds", help=AGAIN
                ) from None
            if error is not None:
                raise explained(error) from error
            with lock:
                started.pop(at)
            results[at] = result
            done()
    finally:
        stop.set()
    return [results[at] for at in range(len(items))]


def _with_retries(work: Callable[[_Item], _Done], item: _Item) -> _Done:
    retrying = Retrying(
        retry=retry_if_exception(_is_transient),
        stop=stop_after_attempt(ATTEMPTS),
        wait=BACKOFF,
        reraise=True,
    )
    return retrying(work, item)


def _http(error: BaseException) -> requests.RequestException | None:
    """Return the HTTP error that caused an error, or None. Clients wrap errors of their library."""
    import requests

    current: BaseException | None = error
    while current is not None and not isinstance(current, requests.RequestException):
        current = current.__cause__ or current.__context__
    return current


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, ProvenanceError):
        return False
    if isinstance(error, TransientError):
        return True
    import requests

    http = _http(error)
    if isinstance(http, requests.HTTPError) and http.response is not None:
        return http.response.status_code >= 500 or http.response.status_code == 429
    return isinstance(http, (requests.ConnectionError, requests.Timeout))


def explained(error: Exception) -> ProvenanceError:
    """Return the error of a service as an error with a message, from which tokens are removed."""
    if isinstance(error, ProvenanceError):
        return error
    if isinstance(error, TransientError):
        return UnavailableError(redacted(str(error))[:300], help=AGAIN)
    import requests

    http = _http(error)
    url = getattr(getattr(http, "request", None), "url", None)
    if http is None or url is None:
        text = redacted(" ".join(str(error).split()))[:200]
        return UnavailableError(
            f"a service gave an unexpected answer: {text or type(error).__name__}",
            help=AGAIN,
        )
    role = next((name for end, name in _ROLES if url.endswith(end)), "service")
    if isinstance(http, requests.HTTPError) and http.response is not None:
        status = http.response.status_code
        reason = redacted(" ".join(http.response.text[:1000].split()))[:200]
        verb = "refused" if status < 500 else "failed"
        message = f"the {role} {url} {verb} (HTTP {status}): {reason or http.response.reason}"
        unknown = status < 429 and role == _ROLES[0][1]
        return UnavailableError(message, help=UNKNOWN if unknown else AGAIN)
    silent = isinstance(http, (requests.ConnectionError, requests.Timeout))
    what = "does not answer" if silent else "gave an unexpected answer"
    return UnavailableError(f"the {role} {url} {what} ({type(http).__name__})", help=AGAIN)
