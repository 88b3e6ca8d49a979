"""Tables whose columns are the inputs of a model with several: a row is one case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastcam.errors import InputError
from fastcam.read.inputs.inputs import Item, stem_of
from fastcam.read.inputs.named_inputs import InputValue, ModelInput, main_image, read_inputs
from fastcam.read.inputs.table_cells import PARQUET
from fastcam.read.inputs.tables import SHEETS, Table, read_cells
from fastcam.storage.locations import is_path, relative_text, under

_TABLES = (".csv", ".tsv", *SHEETS, *PARQUET)


def find_table_inputs(
    sources: Sequence[Path], table: Path | None, columns: Mapping[str, str]
) -> tuple[tuple[ModelInput, ...], list[Item]]:
    """The inputs that ``columns`` (argument to column) name, and an item for each row of the table.

    The table is ``table``, with one folder among ``sources`` that its paths are relative to, or the
    only one of ``sources``; without a folder paths are relative to the table. An item's source is
    the first input that is an image; ``mask``, ``label`` and ``id`` are columns as ever. Raises
    InputError where there is no one table, and for what :func:`read_inputs` refuses.
    """
    folders = [source for source in sources if source.is_dir()]
    files = [source for source in sources if not source.is_dir()]
    files += [] if table is None else [table]
    if len(files) != 1 or len(folders) > 1 or files[0].suffix.lower() not in _TABLES:
        raise InputError(
            "--input takes columns of a table: give one table (.csv, .xlsx, ...), and one folder "
            "that its paths are relative to, or none"
        )
    base = folders[0] if folders else files[0].parent
    cells = read_cells(files[0])
    inputs, values = read_inputs(cells, base, columns)
    return inputs, items_of(cells, base, inputs, values)


def items_of(
    table: Table,
    base: Path,
    inputs: Sequence[ModelInput],
    values: Sequence[tuple[InputValue, ...]],
) -> list[Item]:
    """An item for each row of ``table``, whose inputs have these ``values``.

    InputError where two rows have one id, and where masks are missing.
    """
    columns = {name.casefold(): name for name in table.columns}
    main = main_image(inputs)
    items = []
    for row, of_row in zip(table.rows, values, strict=True):
        source = of_row[main]
        assert is_path(source)
        cells = {name: row.cells[columns[name]] for name in columns}
        mask = under(base, cells["mask"]) if cells.get("mask") else None
        if mask is not None and not mask.exists():
            raise InputError(f"{table.path}: row {row.number}: the mask {mask} is missing")
        name = cells.get("id") or stem_of(source.name)
        group = relative_text(source.parent.absolute(), base.absolute())
        outside = group.startswith("..") or group == "."
        items.append(
            Item(name, "" if outside else group, source, mask, cells.get("label", ""), of_row)
        )
    twice = next((name for name, n in Counter(item.id for item in items).items() if n > 1), None)
    if twice is not None:
        raise InputError(
            f"{table.path}: two rows have the id {twice!r}; give the table a column id in which "
            "rows differ"
        )
    return items
