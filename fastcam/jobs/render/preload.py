"""Imported by the fork server: all that a worker needs, and the kernels ready to run.

The one module that does something when it is imported: that is its job.
"""

from __future__ import annotations

import gc

import distributed.nanny  # noqa: F401
import nibabel.nifti1  # noqa: F401
from fastcam_kernels._jit import without_blas

from fastcam.figures import warmup
from fastcam.jobs.render.patches import measure  # noqa: F401
from fastcam.run.steady_clock import use_steady_clock
from fastcam.store.chunk_files import lock_by_thread

lock_by_thread()
use_steady_clock()

if (
    not warmup.needed()
):  # else the main process compiles them, and workers load what it has compiled
    with without_blas():  # workers draw, and run nobody else's code
        warmup.warm_up()

# What is imported stays: the garbage collector need not look through it in every worker, and the
# memory pages it lies on stay shared.
gc.enable()
gc.collect()
gc.freeze()
