"""The object stores that URLs name, and what goes wrong there as OSError.

fsspec reads and writes them, by s3fs, gcsfs and adlfs; each finds its credentials in the
environment and the files that its service documents, tries again what may pass (503, a lost
connection) with longer and longer breaks, and raises errors of its own kinds when it gives up.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from fastcam.errors import InputError, one_line
from fastcam.storage.silent_stores import (
    answered,
    check_answers,
    given_up,
    is_silence,
    no_answer,
)

T = TypeVar("T")

# Schemes of URLs, with the extra whose package reads them, and these packages.
SCHEMES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "memory": "",
}
# Seconds until a connection counts as refused, and until an answer counts as lost.
_CONNECT, _READ = 10, 60
# botocore tries so often, with breaks of up to 1, 2, 4 and 8 s, and s3fs all of that so often: an
# endpoint that refuses or stays busy ends a request within 30 s, one that takes it and never
# answers within ten minutes.
_ATTEMPTS, _ROUNDS = 5, 2
# What a store, or its package, says of a bucket that isn't there. Of gcsfs it is the address of the
# request, which ends with the bucket, not with the name of an object.
_NO_BUCKET = re.compile(
    r"(bucket|container) does not exist|NoSuchBucket|ContainerNotFound|\bb/[^/\s]+/o$",
    re.IGNORECASE,
)
MISSING_BUCKET = "there is no such bucket"
# What gcsfs puts before the store's own words.
_REQUEST = re.compile(r"^(Forbidden|Bad Request): \S+\n(?=.)")
_PACKAGES = {"s3": "s3fs", "gcs": "gcsfs", "azure": "adlfs"}
_file_systems: dict[tuple[int, str], Any] = {}
_lock = threading.Lock()


def file_system(scheme: str) -> Any:
    """fsspec's file system of a scheme, one for this process; InputError without its package.

    Listings are not kept: other processes write at the same time.
    """
    key = os.getpid(), scheme
    with _lock:
        if key not in _file_systems:
            _file_systems[key] = _new_file_system(scheme)
        return _file_systems[key]


def uses_memory() -> bool:
    """Whether this process has objects in its own memory, ``memory://``, where other processes
    don't see them."""
    return (os.getpid(), "memory") in _file_systems


def check_scheme(scheme: str) -> None:
    """InputError, which names the extra, where a scheme's package isn't installed."""
    from fsspec import get_filesystem_class

    try:
        get_filesystem_class(scheme)
    except ImportError as error:
        extra = SCHEMES[scheme]
        raise InputError(
            f"{scheme}:// needs the package {_PACKAGES[extra]}: pip install 'fastcam[{extra}]'"
        ) from error


def _new_file_system(scheme: str) -> Any:
    import fsspec

    check_scheme(scheme)
    if SCHEMES[scheme] == "s3":
        return _amazon()
    if SCHEMES[scheme] == "gcs":
        return _google()
    return fsspec.filesystem(scheme, use_listings_cache=False)


def _amazon() -> Any:
    import fsspec
    from aiobotocore.session import AioSession
    from botocore.handlers import add_expect_header

    # Before an object's bytes are sent the server would be asked whether it takes them: that is a
    # round trip more, and aiohttp waits for this answer without end.
    session = AioSession()
    session.unregister("before-call.s3", add_expect_header)
    # Its own number of connections is 10, fewer than figures that are put at once.
    settings = {
        "connect_timeout": _CONNECT,
        "read_timeout": _READ,
        "max_pool_connections": 32,
        # Unlike botocore's older way, this one stops trying again where nothing succeeds.
        "retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS},
    }
    fs = fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=settings, session=session)
    fs.retries = _ROUNDS
    return fs


def _google() -> Any:
    from aiohttp import ClientTimeout
    from gcsfs.core import GCSFileSystem

    # It prints a traceback where it gives up; what is wrong is in the error.
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    # Not the class that fsspec gives, which asks by gRPC what kind of bucket it is: that needs the
    # right storage.buckets.get, which who may only read and write objects lacks, and is asked again
    # at every request, with a warning, where it is refused or the network lets no gRPC through.
    timeout = ClientTimeout(sock_connect=_CONNECT, sock_read=_READ)
    return GCSFileSystem(use_listings_cache=False, requests_timeout=timeout)


def ask(url: str, action: Callable[[Any, str], T]) -> T:
    """``action(file system, url)``; whatever it raises as an OSError with the URL in it.

    TimeoutError where the store doesn't answer: soon, where that is known of an earlier request.
    """
    fs = file_system(url.partition("://")[0])
    check_answers(fs, url)
    try:
        result = action(fs, url)
    except FileNotFoundError as error:
        missing = _NO_BUCKET.search(f"{_code(error)} {error}")
        reason = MISSING_BUCKET if missing else os.strerror(errno.ENOENT)
        raise FileNotFoundError(errno.ENOENT, reason, url) from error
    except Exception as error:
        # Each package has error classes of its own, which share no base: botocore's, aiohttp's,
        # gcsfs's, Azure's.
        reason = _reason(error)
        if _is_refusal(error):
            raise PermissionError(errno.EACCES, f"permission denied ({reason})", url) from error
        if is_silence(error):
            given_up(url, reason)
            raise no_answer(reason, url) from error
        raise OSError(errno.EIO, reason, url) from error
    answered(url)
    return result


def _is_refusal(error: Exception) -> bool:
    """Whether the store says that this may not be done; gcsfs has an OSError for 403 and its own
    error for 401."""
    refused = isinstance(error, OSError) and str(error).startswith("Forbidden: ")
    return refused or isinstance(error, PermissionError) or getattr(error, "code", None) == 401


def _code(error: BaseException) -> str:
    """The store's own word for what went wrong, such as SlowDown; "" where none is known."""
    response = getattr(error.__cause__ or error.__context__ or error, "response", None)
    if not isinstance(response, dict):
        return ""
    code = str(response.get("Error", {}).get("Code", ""))
    return "" if code.isdecimal() else code  # an answer without a body has its number only


def _reason(error: BaseException) -> str:
    """What went wrong, in one line, with the kind of error where the text alone says little."""
    own = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    own = _REQUEST.sub("", own)
    text = one_line(" ".join(own.split()))[:300]
    if text == "Bad Request":
        # All that S3 says of it where it sends no text.
        return f"{text}: the credentials may have expired"
    kind = _code(error) or type(error).__name__
    bare = isinstance(error, OSError) and not _code(error)
    return (text if bare else f"{kind}: {text}") if text else kind


def whole(url: str) -> bytes:
    """The bytes of an object, by one request; OSError as of :func:`ask`."""
    # s3fs asks for the size first else, to fetch large objects in pieces.
    once = {"max_concurrency": 1} if SCHEMES[url.partition("://")[0]] == "s3" else {}
    return bytes(ask(url, lambda fs, url: fs.cat_file(url, **once)))
