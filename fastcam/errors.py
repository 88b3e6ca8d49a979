"""Every error fastcam raises on purpose; the command line turns each into one line.

An error's message says the file and the value, what is wrong with it and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def one_line(text: str) -> str:
    """``text`` with line ends, terminal codes and the like escaped, for a message on one line."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def plain_lines(text: str) -> str:
    """``text`` of several lines with all but their ends escaped as by :func:`one_line`."""
    return "\n".join(map(one_line, text.split("\n")))


class FastcamError(Exception):
    """Base of all errors fastcam raises on purpose. ``exit_code`` is what the command returns."""

    exit_code = 1


class InputError(FastcamError):
    """Wrong usage, or an input that can't be read at all: nothing was started."""

    exit_code = 2


class NoInputsError(InputError):
    """A folder holds none of the images or volumes that are wanted."""


class LostStoreError(InputError):
    """What is read lies where nothing can be read, or no longer: no case there is to blame."""


class MissingBucketError(LostStoreError):
    """What is read lies in a bucket that isn't there."""


class SilentStoreError(LostStoreError):
    """What is read lies in a store that doesn't answer; later it may."""

    exit_code = 1


class OutputError(FastcamError):
    """The result can't be written: no permission, disk full."""

    exit_code = 1


class CaseError(FastcamError):
    """One case, or one of its files, is bad; the others go on.

    The message is the reason as it stands in ``failures.csv``; the case's name is kept beside
    it by whoever catches this.
    """

    exit_code = 3


class SchedulerError(FastcamError):
    """The Dask cluster, or a process of this run, was lost or gave up; what is finished is kept."""

    exit_code = 1


_OPTIONS_NAMED = ContextVar("options_named", default=False)


@contextmanager
def option_messages() -> Iterator[None]:
    """For the command line: messages of the public functions name options, not keywords."""
    token = _OPTIONS_NAMED.set(True)
    try:
        yield
    finally:
        _OPTIONS_NAMED.reset(token)


def messages_name_options() -> bool:
    """Whether messages are for the command line."""
    return _OPTIONS_NAMED.get()
