from __future__ import annotations

import numpy as np

from qbert4rec_hf.sequence.masking.last_item import mask_last_item


def test_the_last_item_alone():
    mask = mask_last_item(np.array([4, 1, 2]))
    assert mask.tolist() == [
        [False, False, False, True],
        [True, False, False, False],
        [False, True, False, False],
    ]
