"""Cutting and putting back, by slow loops and small cases worked by hand."""

from __future__ import annotations

import pytest
import torch

from fastcam.attribution.attention.windows import WindowLayout, merge_windows, sum_windows
from fastcam.models.fewshot.window_attention import (
    inside_grid,
    relative_index,
    shift_neighbours,
    window_partition,
    window_reverse,
    window_unfold,
)

# grid, window, enlarged
CASES = [((14, 14), 7, 11), ((6, 9), 3, 5), ((8, 4), 4, 8), ((4, 4), 2, 6)]


def layout(grid: tuple[int, int], window: int, enlarged: int) -> WindowLayout:
    reach = (enlarged - window) // 2
    return WindowLayout(grid, (window, window), reach=(reach, reach))


def places(grid: tuple[int, int], window: int, enlarged: int) -> list[list[tuple[int, int] | None]]:
    """The grid place of each place of each enlarged window, None in the padding."""
    reach, found = (enlarged - window) // 2, []
    for top in range(0, grid[0], window):
        for left in range(0, grid[1], window):
            of_window = []
            for y in range(top - reach, top - reach + enlarged):
                for x in range(left - reach, left - reach + enlarged):
                    within = 0 <= y < grid[0] and 0 <= x < grid[1]
                    of_window.append((y, x) if within else None)
            found.append(of_window)
    return found


@pytest.mark.parametrize(("grid", "window", "enlarged"), CASES)
def test_enlarged_windows_are_cut_where_a_loop_cuts_them(grid, window, enlarged) -> None:
    x = torch.randn(2, *grid, 3)
    parts = window_unfold(x, window, enlarged)
    slow = torch.zeros(2, len(parts) // 2, enlarged**2, 3)
    for number, of_window in enumerate(places(grid, window, enlarged)):
        for at, place in enumerate(of_window):
            if place is not None:
                slow[:, number, at] = x[:, place[0], place[1]]
    assert torch.equal(parts, slow.flatten(0, 1))
    known = [[place is not None for place in w] for w in places(grid, window, enlarged)]
    assert torch.equal(inside_grid(grid, window, enlarged), torch.tensor(known))


@pytest.mark.parametrize(("grid", "window", "enlarged"), CASES)
def test_put_back_is_the_adjoint_by_a_loop(grid, window, enlarged) -> None:
    at = places(grid, window, enlarged)
    values = torch.randn(2 * len(at), 3, enlarged**2, dtype=torch.float64)
    total = torch.zeros(2, 3, *grid, dtype=torch.float64)
    count = torch.zeros(grid, dtype=torch.float64)
    for number, of_window in enumerate(at):
        for index, place in enumerate(of_window):
            if place is not None:
                count[place] += 1
                for image in range(2):
                    cell = values[image * len(at) + number, :, index]
                    total[image, :, place[0], place[1]] += cell
    assert int(count.min()) >= 1
    assert int(count.max()) > 1
    lies = layout(grid, window, enlarged)
    torch.testing.assert_close(sum_windows(values, lies), total)
    torch.testing.assert_close(merge_windows(values, lies), total / count)


def test_put_back_and_cut_are_adjoint() -> None:
    x = torch.randn(1, 14, 14, 2, dtype=torch.float64)
    values = torch.randn(4, 2, 121, dtype=torch.float64)
    left = (window_unfold(x, 7, 11).mT * values).sum()
    right = (x.permute(0, 3, 1, 2) * sum_windows(values, layout((14, 14), 7, 11))).sum()
    torch.testing.assert_close(left, right)


def test_what_is_cut_comes_back() -> None:
    x = torch.randn(2, 14, 21, 5)
    assert torch.equal(window_reverse(window_partition(x, 7), 7, (14, 21)), x)
    back = merge_windows(window_unfold(x, 7, 11).mT, layout((14, 21), 7, 11))
    torch.testing.assert_close(back, x.permute(0, 3, 1, 2))


def test_a_shift_of_3_on_a_14_grid_by_hand() -> None:
    numbers = torch.arange(196).reshape(1, 14, 14, 1)
    parts = window_partition(torch.roll(numbers, (-3, -3), (1, 2)), 7)[..., 0]
    # The first window starts at row 3, column 3; the last holds rows and columns 10-13 and 0-2.
    assert parts[0, :8].tolist() == [45, 46, 47, 48, 49, 50, 51, 59]
    assert parts[3, :7].tolist() == [150, 151, 152, 153, 140, 141, 142]
    assert parts[3, 28:35].tolist() == [10, 11, 12, 13, 0, 1, 2]
    together = shift_neighbours((14, 14), 7, (3, 3))
    assert bool(together[0].all())
    # Columns 10-13 see each other and not columns 0-2, in every row of the second window.
    row = [True] * 4 + [False] * 3
    assert together[1, 0].tolist() == row * 7
    assert together[1, 4].tolist() == [not seen for seen in row] * 7
    # In the last one the same holds for rows: 4 of them are the bottom's, 3 the top's.
    assert together[3, 0].tolist() == row * 4 + [False] * 21
    assert together[3, 48].tolist() == [False] * 28 + [not seen for seen in row] * 3


def test_an_axis_without_shift_has_no_borders() -> None:
    assert bool(shift_neighbours((14, 14), 7, (0, 0)).all())
    together = shift_neighbours((4, 8), 4, (0, 2))
    assert bool(together[0].all())
    assert together[1, 0].tolist() == [True, True, False, False] * 4


@pytest.mark.parametrize(("window", "enlarged"), [(7, 7), (7, 11), (2, 6)])
def test_a_bias_row_is_a_distance(window: int, enlarged: int) -> None:
    index, reach = relative_index(window, enlarged), (enlarged - window) // 2
    met: dict[int, tuple[int, int]] = {}
    for query in range(window**2):
        for key in range(enlarged**2):
            (qy, qx), (ky, kx) = divmod(query, window), divmod(key, enlarged)
            distance = (qy - ky + reach, qx - kx + reach)
            assert met.setdefault(int(index[query, key]), distance) == distance
    assert sorted(met) == list(range((window + enlarged - 1) ** 2))
    assert len(set(met.values())) == len(met)
