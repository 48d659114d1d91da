from __future__ import annotations

import pytest
import torch

from qbert4rec_hf.runs.threads import cpu_threads


@pytest.fixture(autouse=True)
def before():
    number = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(number)


def test_the_number_holds_inside_the_block_alone():
    with pytest.raises(ZeroDivisionError), cpu_threads(1):
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_none_changes_nothing_and_what_the_block_sets_ends_with_it():
    with cpu_threads(None):
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
    assert torch.get_num_threads() == 2
