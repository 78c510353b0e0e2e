from __future__ import annotations

import numpy as np

from tradeoff.web.charts.thinning import MOST_DRAWN, count, kept, thin, thin_ticks


def test_few_points_are_all_drawn() -> None:
    assert thin(np.zeros(5), np.zeros(5), most=5).tolist() == [0, 1, 2, 3, 4]
    assert thin(np.empty(0), np.empty(0)).tolist() == []


def test_of_many_the_outliers_and_the_whole_search_are_drawn() -> None:
    rng = np.random.default_rng(1)
    xs, ys = rng.normal(size=10_000), rng.normal(size=10_000)
    xs[7_777], ys[7_777] = 1_000.0, -1_000.0  # all others lie in one cell beside it

    drawn = thin(xs, ys)

    assert len(drawn) == MOST_DRAWN
    assert 7_777 in drawn
    assert (np.diff(drawn) > 0).all()
    parts = np.histogram(drawn, bins=10, range=(0, 10_000))[0]
    assert parts.min() > MOST_DRAWN / 20
    assert drawn.tolist() == thin(xs, ys).tolist()


def test_every_corner_of_a_figure_keeps_its_marks() -> None:
    rng = np.random.default_rng(2)
    xs, ys = rng.uniform(size=10_000), rng.uniform(size=10_000) ** 3

    drawn = thin(xs, ys)

    grid = np.histogram2d(xs, ys, bins=12)[0]
    found = np.histogram2d(xs[drawn], ys[drawn], bins=12)[0]
    assert ((grid > 0) == (found > 0)).all()


def test_what_is_looked_at_is_drawn_in_any_case() -> None:
    xs = np.zeros(4_000)
    ids = np.arange(100, 4_100)
    missing = set(ids.tolist()) - set(ids[thin(xs, xs)].tolist())
    one = min(missing)

    drawn = thin(xs, xs, keep=kept(ids, {one}))

    assert one in ids[drawn]
    assert len(drawn) == MOST_DRAWN + 1


def test_ticks_and_what_the_legend_says() -> None:
    assert len(thin_ticks(np.arange(5_000.0))) == 600
    assert count(3, 3) == "(3)"
    assert count(600, 5_000) == "(600 of 5000 drawn)"
