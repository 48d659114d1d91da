from __future__ import annotations

import io

import pytest
from tqdm import tqdm

from qbert4rec_hf.features.progress import ShardsBar, bars_are_shown, progress_bar, show_bars


@pytest.fixture
def bar():
    return tqdm(total=30, file=io.StringIO())


def test_long_texts_do_not_make_it_run_ahead(bar):
    """Three shards of ten items; the second is eight times the work of each other."""
    moving = ShardsBar(bar, [10, 80, 10])
    with moving.round([0], 10) as part:
        for _ in range(10):
            part.update(1)
    assert bar.n == 3
    with moving.round([1], 10) as part:
        part.update(5)
        assert bar.n == 15
        part.update(5)
    assert bar.n == 27
    with moving.round([2], 10):
        pass
    assert bar.n == 30


def test_a_round_of_several_processes_moves_it_by_all_their_shards(bar):
    moving = ShardsBar(bar, [1, 1, 1])
    with moving.round([0, 1], 10) as part:
        part.update(5)
        assert bar.n == 10
        part.update(5)
    assert bar.n == 20


def test_what_was_done_before_says_nothing_about_the_speed(bar):
    moving = ShardsBar(bar, [1, 1, 1])
    moving.skip([0, 2])
    assert bar.n == bar.initial == 20
    with moving.round([1], 10) as part:
        part.update(10)
    assert bar.n == 30


def test_a_domain_without_work_ends_all_the_same(bar):
    moving = ShardsBar(bar, [0, 0])
    with moving.round([0, 1], 10) as part:
        part.update(10)
    assert bar.n == 30


def test_bars_can_be_hidden_and_shown(capsys):
    for shown in (True, False):
        show_bars(shown)
        try:
            assert bars_are_shown() is shown
            with progress_bar(True, 2, "encoding") as advance:
                advance(2)
        finally:
            show_bars(None)
        assert ("encoding" in capsys.readouterr().err) is shown
    with progress_bar(False, 2, "encoding") as advance:
        advance(2)
    assert not capsys.readouterr().err


def test_a_bar_that_is_there_is_moved(bar):
    with progress_bar(bar, 5, "unused") as advance:
        advance(5)
    assert bar.n == 5
