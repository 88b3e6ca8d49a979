"""Items whose workers are lost, all of them, while new ones are started."""

from __future__ import annotations

import asyncio
import operator
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from fastcam.run import queues
from fastcam.run.queues import run_queues
from fastcam.run.scheduler import existing_cluster
from tests.dask_cluster import Cluster

ITEMS = list(range(40))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path, workers=1)
    yield started
    started.close()


def split(parts: int) -> list[deque[int]]:
    return [deque(ITEMS[part::parts]) for part in range(parts)]


def replace_workers(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.kill()
        worker.wait()
    cluster.add_worker()


def negatives(cluster: Cluster, each: Callable[[int], None] = lambda _: None) -> dict[int, int]:
    """Of all items; ``each`` is called with the number of those that are done."""
    done: dict[int, int] = {}
    with existing_cluster(str(cluster.file)) as client:
        for item, result in run_queues(client, operator.neg, split):
            assert item not in done
            done[item] = result
            each(len(done))
    return done


def test_items_of_a_cluster_that_had_no_worker_for_a_moment_are_run(cluster: Cluster) -> None:
    def lose(done: int) -> None:
        if done == 5:
            replace_workers(cluster)

    assert negatives(cluster, lose) == {number: -number for number in ITEMS}


def test_a_result_that_is_lost_before_it_was_fetched_is_made_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, fetched = distributed.Client.gather, []

    def lose(client: distributed.Client, future: Any, **options: Any) -> Any:
        fetched.append(future.key)
        if len(fetched) == 5:
            replace_workers(cluster)
        return fetch(client, future, **options)

    monkeypatch.setattr(distributed.Client, "gather", lose)
    assert negatives(cluster) == {number: -number for number in ITEMS}


def test_results_that_are_long_in_coming_are_waited_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a scheduler that is busy: more often than not it is looked after the workers."""
    fetch = distributed.Client._gather_remote

    async def late(client: distributed.Client, *given: Any) -> Any:
        await asyncio.sleep(0.1)
        return await fetch(client, *given)

    monkeypatch.setattr(distributed.Client, "_gather_remote", late)
    monkeypatch.setattr(queues, "WATCH_SECONDS", 0.01)
    assert negatives(cluster) == {number: -number for number in ITEMS}
