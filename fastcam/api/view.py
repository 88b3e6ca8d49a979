"""``fastcam.view``, ``picture`` and ``review``: the reading room, its pictures and judgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html import escape
from typing import Any

from fastcam.api.arguments import check_at_least, path_list
from fastcam.api.keyword_messages import keyword_messages
from fastcam.api.view_request import view_request
from fastcam.errors import InputError
from fastcam.figures.notebook_figure import Figure
from fastcam.jobs.view.opened_case import PANEL_KINDS, Limits, Look, PanelKind, Slot
from fastcam.jobs.view.page_server import NoServerError
from fastcam.jobs.view.query import PictureQuery, rising
from fastcam.jobs.view.review_summary import ReviewSummary, review_files, review_summary
from fastcam.jobs.view.room import Room
from fastcam.jobs.view.service import Service, open_service, start_thread
from fastcam.jobs.view.still_pictures import still_html
from fastcam.jobs.view.verdicts import find_verdicts, verdicts_of
from fastcam.options import USUAL_DPI, Aspect, PathLike
from fastcam.storage.locations import as_path


class ReadingRoom:
    """A reading room that is open until :meth:`close`, or until Python ends.

    A notebook shows it in the cell, as long as its browser reaches this machine; with ``proxy``
    through the address that the notebook's server forwards, as ``/proxy/{port}/`` of
    jupyter-server-proxy.
    """

    def __init__(self, service: Service, height: int = 760, proxy: str | None = None) -> None:
        self._service, self._height, self._proxy = service, height, proxy
        self._stop = start_thread(service)

    @property
    def address(self) -> str:
        """What a browser opens."""
        service = self._service
        if self._proxy is None:
            return service.address
        root = self._proxy.replace("{port}", str(service.port)).rstrip("/")
        return f"{root}/{service.token}/"

    def close(self) -> None:
        """End the server. Every judgement is on disk already."""
        self._stop()

    def __repr__(self) -> str:
        return f"<fastcam reading room at {self.address}>"

    def _repr_html_(self) -> str:
        address = escape(self.address, quote=True)
        return (
            f'<iframe src="{address}" title="fastcam reading room" width="100%" '
            f'height="{self._height}" style="border:1px solid #8888"></iframe>'
            f'<p><a href="{address}" target="_blank" rel="noopener">in a tab of its own</a></p>'
        )


class StillRoom:
    """Figures of the first cases of a reading room, where none can be opened."""

    def __init__(self, room: Room, reason: str) -> None:
        self._room, self._reason = room, reason

    def __repr__(self) -> str:
        return f"<figures of a fastcam reading room: {self._reason}>"

    def _repr_html_(self) -> str:
        return still_html(self._room, self._reason)


@partial(keyword_messages, options_of=view_request)
def view(
    *runs: PathLike,
    height: int = 760,
    proxy: str | None = None,
    still: bool = False,
    **options: Any,
) -> ReadingRoom | StillRoom:
    """Open the reading room of ``fastcam view`` in the background, and show it in a notebook.

    ``runs`` are run stores, results files or output folders; ``options`` are the keywords of
    :func:`view_request`. ``height`` is that of the notebook's frame in pixels. ``proxy`` is the
    address under which a notebook on another machine forwards ports, ``{port}`` in it for the
    number, as in ``/user/me/proxy/{port}/``; give its host as ``allow_hosts`` then. With ``still``,
    and where no server can run, a notebook shows the figures of the first cases instead, which need
    none and stay in its file.

    Raises :class:`~fastcam.errors.InputError` where a run can't be opened.
    """
    check_at_least("height", height, 1)
    request = view_request(runs, embedded=True, **options)
    if still:
        return StillRoom(Room(request), "figures that need no server")
    try:
        service = open_service(request)
    except NoServerError as error:
        return StillRoom(Room(request), f"no reading room here: {error}")
    return ReadingRoom(service, height, proxy)


@partial(keyword_messages, options_of=view_request)
def picture(
    run: PathLike,
    case: str | int,
    *,
    slice: int | None = None,
    panel: PanelKind = "overlay",
    map: int | str = 0,
    head: int | None = None,
    axis: int = 0,
    window: Limits | None = None,
    limits: Limits | None = None,
    contour: bool = False,
    aspect: Aspect | None = None,
    **options: Any,
) -> Figure:
    """One picture as the reading room shows it.

    ``case`` is the case's name, or its number in the run, from 0. ``slice`` counts as the run's own
    do, along ``axis`` of the file's (z, y, x) where that isn't 0; None: the one with the highest
    heat, or the middle one along another axis. ``map`` is the number, from 0, or the name of a map
    of the run; ``head`` counts from 0, None is the mean of heads. ``window`` are the values that
    are shown black and white, ``limits`` the heat at the ends of the color table; None: as figures
    have them. ``contour`` outlines the mask. ``aspect`` is as in :func:`~fastcam.render`: "mm"
    keeps the shape in the body, "pixels" makes pixels square. ``options`` are the keywords of
    :func:`view_request`.

    Raises :class:`~fastcam.errors.InputError` for wrong settings and unreadable runs,
    :class:`~fastcam.errors.CaseError` for a case or map that isn't there.
    """
    if panel not in PANEL_KINDS:
        raise InputError(f"panel {panel!r} is not known: use one of {', '.join(PANEL_KINDS)}")
    room = Room(view_request(run, **options))
    number = room.case_number(case)
    opened_case = room.open(0, number)
    if axis not in opened_case.planes:
        known = ", ".join(f"{number}" for number in opened_case.planes)
        raise InputError(f"axis {axis}: {room.table.ids[number]} has pictures along {known}")
    if slice is None:
        slice = opened_case.facts()["best"] if axis == 0 else opened_case.planes[axis].depth // 2
    query = PictureQuery(
        run=0,
        case=number,
        kind=panel,
        slot=Slot(map=room.map_number(map), head=head, axis=axis, index=slice),
        look=Look(
            style=replace(room.style, aspect=aspect or ""),
            window=None if window is None else rising(f"window {window}", window),
            limits=None if limits is None else rising(f"limits {limits}", limits),
            contour=contour,
        ),
    )
    return Figure(room.draw(query).pixels, dpi=USUAL_DPI)


@keyword_messages
def review(folders: PathLike | Sequence[PathLike], *, run: PathLike | None = None) -> ReviewSummary:
    """Summarize the judgements of reading rooms, from the folders or files that they are in.

    Of each reader and case the last mark counts. ``run`` is the run store, results file or output
    folder that says which predictions are right; None: the one beside the judgements, if there is
    just one.

    Raises :class:`~fastcam.errors.InputError` where there are no judgements.
    """
    paths = path_list(folders)
    if not paths:
        raise InputError("no folders given: give those that judgements are in, or the files")
    files = [file for path in paths for file in review_files(path)]
    verdicts = find_verdicts(paths[0]) if run is None else verdicts_of(as_path(run))
    return review_summary(files, verdicts)
