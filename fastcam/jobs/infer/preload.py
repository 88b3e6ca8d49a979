"""Imported by the fork server: all that a worker needs that runs a model.

Like that of ``fastcam/jobs/render``, it does something when it is imported: that is its job.
"""

from __future__ import annotations

import gc

import distributed.nanny  # noqa: F401

from fastcam.jobs.infer import batch_task  # noqa: F401
from fastcam.run.steady_clock import use_steady_clock
from fastcam.store.chunk_files import lock_by_thread

lock_by_thread()
use_steady_clock()
# Memory pages of what is imported stay shared among the workers.
gc.enable()
gc.collect()
gc.freeze()
