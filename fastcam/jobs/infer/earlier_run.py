"""What an earlier run of the same job left: the store to go on with, and the cases that are run
again."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastcam.jobs.infer.plan import InferPlan
from fastcam.jobs.infer.store_of_run import OtherFacts, earlier_store, open_or_create, with_facts
from fastcam.jobs.infer.stored_inputs import (
    changed_cases,
    changed_note,
    damaged_note,
    forget_cases,
    forget_inputs,
)
from fastcam.store.map_schema import MapAttrs
from fastcam.store.maps import MapStore


@dataclass(frozen=True)
class EarlierRun:
    """The store of an earlier run, if there is one, with its 0-based cases that are run again.

    Attributes:
        store: the store.
        changed: cases whose files changed since.
        damaged: cases whose maps are damaged or gone.
        others: cases with another mask or label than before.
        remade: those of them whose maps are made of that.
    """

    store: MapStore | None = None
    changed: frozenset[int] = frozenset()
    damaged: frozenset[int] = frozenset()
    others: OtherFacts = field(default_factory=OtherFacts)
    remade: frozenset[int] = frozenset()

    @property
    def again(self) -> set[int]:
        """All cases that are run again."""
        return {*self.changed, *self.damaged, *self.remade}

    @property
    def notes(self) -> list[str]:
        """A line for each reason to run cases again."""
        lines = [changed_note(len(self.changed))] if self.changed else []
        lines += [damaged_note(len(self.damaged))] if self.damaged else []
        return [*lines, *self.others.notes(self.remade)]


def find_earlier(plan: InferPlan, overwrite: bool) -> EarlierRun:
    """Look at the store in the folder of a run; cases to be run again are open in what it returns,
    not on the disk. InputError where it is that of another job and not to be replaced."""
    store = earlier_store(plan.store_path, plan.attrs, plan.items, plan.identity, overwrite)
    if store is None:
        return EarlierRun()
    others = OtherFacts.of(store, plan.items)
    remade = (others.masks if plan.with_masks else frozenset()) | (
        others.labels if plan.labels is not None else frozenset()
    )
    earlier = EarlierRun(
        store,
        frozenset(changed_cases(store.path, plan.request.options.trust_inputs)),
        frozenset(store.case_of(row) for row in store.damaged_rows()),
        others,
        remade,
    )
    store.reopen(earlier.again)
    return earlier


def open_run(plan: InferPlan, earlier: EarlierRun, attrs: MapAttrs, overwrite: bool) -> MapStore:
    """The store to write to, on the disk: a new one that says ``attrs``, or the earlier one with
    the cases open that are run again."""
    store = open_or_create(
        plan.store_path,
        attrs,
        plan.items,
        plan.identity,
        plan.table,
        plan.request.options.batch_size,
        overwrite,
    )
    if earlier.store is None:
        forget_inputs(store.path)
    store.reopen(earlier.again)
    if earlier.others:
        forget_cases(store.path, earlier.remade)
        store = with_facts(store, plan.items, attrs.sha256)
    return store
