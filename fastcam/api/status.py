"""``fastcam.status``: how far a run is."""

from __future__ import annotations

from fastcam.api.keyword_messages import keyword_messages
from fastcam.options import PathLike
from fastcam.run.run_status import RunState, read_state
from fastcam.storage.locations import as_path


@keyword_messages
def status(folder: PathLike) -> RunState:
    """How far the run of ``infer``, ``render``, ``evaluate`` or ``Analyzer.analyze_batch`` is that
    writes into ``folder``, or how it ended.

    Asked of any process that sees the folder, as often as you like: the run isn't disturbed. Raises
    :class:`~fastcam.errors.InputError` where no such run has begun there.
    """
    return read_state(as_path(folder))
