"""Where a Dask scheduler is, from what ``--scheduler`` says, and whether one answers there."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastcam.errors import InputError

# Seconds that it has to answer.
_ANSWERING = 15
# Bytes of a scheduler file, which has some hundred.
_LONGEST_FILE = 1 << 20


def address_of(scheduler: str) -> str:
    """The address of the scheduler that answers: ``scheduler`` itself (``tcp://host:8786``), or
    what the scheduler file of that name holds.

    InputError where it is neither, where the address is none, and where nobody answers.
    """
    if "://" in scheduler or (":" in scheduler and not Path(scheduler).exists()):
        address = scheduler
    elif Path(scheduler).is_file():
        # Dask waits half a minute for any other file to become one.
        address = _address_in(Path(scheduler))
    else:
        raise InputError(
            f"--scheduler {scheduler}: neither an address such as tcp://host:8786 nor an existing "
            f"scheduler file; start one with `dask scheduler --scheduler-file FILE`"
        )
    # In a thread, as the one that asks may have a running loop, as in a notebook.
    with ThreadPoolExecutor(1) as thread:
        try:
            kind = thread.submit(asyncio.run, _kind_of(address)).result()
        except (OSError, TimeoutError) as error:
            raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there") from error
        except (ImportError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"--scheduler {scheduler}: is no address that Dask can connect to ({error}); give "
                "one such as tcp://host:8786"
            ) from error
        except Exception as error:
            # Dask's transports have exceptions of their own for what speaks another protocol.
            raise InputError(
                f"--scheduler {scheduler}: what answers there is no Dask scheduler ({error})"
            ) from error
    if kind != "Scheduler":
        raise InputError(
            f"--scheduler {scheduler}: is the address of a Dask {kind.lower()}; give that of the "
            "scheduler"
        )
    return address


async def _kind_of(address: str) -> str:
    """What answers at ``address``: a ``Scheduler``, ``Worker`` or ``Nanny`` of Dask.

    Dask's client is made only of a scheduler that answers: one that can't be made waits for half a
    minute when Python lets go of it, and ends in a traceback.
    """
    from distributed.core import rpc
    from distributed.security import Security

    connection = Security().get_connection_args("client")
    async with rpc(address, connection_args=connection, timeout=_ANSWERING) as server:
        # Dask itself waits without end for a server that says nothing.
        identity = await asyncio.wait_for(server.identity(), _ANSWERING)
    return str(identity["type"])


def _address_in(file: Path) -> str:
    """The address in a scheduler file, which is JSON; InputError where there is none."""
    try:
        address = json.loads(file.read_bytes()[:_LONGEST_FILE])["address"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        address = None
    if not isinstance(address, str):
        raise InputError(
            f"--scheduler {file}: has no scheduler's address; give the file that "
            f"`dask scheduler --scheduler-file FILE` writes"
        )
    return address
