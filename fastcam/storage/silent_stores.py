"""Stores that don't answer: what follows from a lost request doesn't wait as long as that did.

A request without an answer is tried again and again, for half a minute where connections are
refused. A run that ends by it asks more of the same store, to put its failures and its state
there: once one was given up, the others are only sent where a short question finds that the store
answers again.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import Any, NamedTuple

# Seconds that the short question takes at most, with the package's own tries in it; for which its
# outcome holds; and after which a store is asked as if it had never been given up.
_ASKED, _HOLDS, _FORGOTTEN = 5.0, 5.0, 60.0
# Bases of the errors by which Python, botocore (two of them), aiohttp (below gcsfs) and Azure say
# that a connection failed or no answer came; their packages may not be there.
_SILENT = {
    "ConnectionError",
    "HTTPClientError",
    "ClientConnectionError",
    "ServiceRequestError",
    "ServiceResponseError",
}


class _Silence(NamedTuple):
    """Why requests to a bucket were given up, until when none is sent, and until when that is
    known, by the monotonic clock."""

    reason: str
    holds_until: float
    known_until: float


_lock = threading.Lock()
# By bucket.
_silences: dict[str, _Silence] = {}


def is_silence(error: BaseException) -> bool:
    """Whether an error of a store's package says that there was no answer."""
    return any(
        isinstance(cause, TimeoutError)
        or not _SILENT.isdisjoint(kind.__name__ for kind in type(cause).__mro__)
        for cause in (error, error.__cause__)
    )


def given_up(url: str, reason: str) -> None:
    """Remember that a request got no answer, however often it was tried."""
    _remember(_bucket_of(url), reason, 0.0)


def answered(url: str) -> None:
    """Forget what was given up in the store of ``url``."""
    if _silences:
        with _lock:
            for bucket in _of_store(url):
                del _silences[bucket]


def check_answers(fs: Any, url: str) -> None:
    """Nothing where no request to the store of ``url`` was given up lately, or it answers again;
    else TimeoutError with the reason of then. ``fs``: fsspec's file system of it."""
    if not _silences:
        return
    bucket, now = _bucket_of(url), time.monotonic()
    with _lock:
        silences = [_silences[other] for other in _of_store(url)]
        own = _silences.get(bucket)
    known = [silence for silence in silences if silence.known_until > now]
    if not known:
        return
    # Another bucket of the same store may lie elsewhere, and be there.
    reason = known[0].reason if own is None else own.reason
    if own is None or now >= own.holds_until:
        if _answers(fs, bucket):
            answered(url)
            return
        _remember(bucket, reason, _HOLDS)
    raise no_answer(reason, url)


def no_answer(reason: str, url: str) -> OSError:
    """The TimeoutError of a request without an answer."""
    return OSError(errno.ETIMEDOUT, reason, url)


def _remember(bucket: str, reason: str, holds: float) -> None:
    now = time.monotonic()
    with _lock:
        _silences[bucket] = _Silence(reason, now + holds, now + _FORGOTTEN)


def _of_store(url: str) -> list[str]:
    scheme = url.partition("://")[0]
    return [bucket for bucket in _silences if bucket.startswith(f"{scheme}://")]


def _answers(fs: Any, bucket: str) -> bool:
    try:
        fs.info(bucket, timeout=_ASKED)
    except Exception as error:  # noqa: BLE001 - a refusal is an answer, too
        return not is_silence(error)
    return True


def _bucket_of(url: str) -> str:
    scheme, _, key = url.partition("://")
    return f"{scheme}://{key.partition('/')[0]}"
