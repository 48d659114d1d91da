from __future__ import annotations

import numpy as np

from qbert4rec_hf.data.prepare.engine import open_engine
from qbert4rec_hf.data.time_order import mix


def test_the_hash_in_sql_is_that_in_numpy(tmp_path):
    values = np.random.default_rng(0).integers(0, 2**64, 200, dtype=np.uint64)
    values[:3] = 0, 1, 2**64 - 1
    with open_engine(tmp_path, threads=1) as engine:
        listed = ", ".join(f"({value}::UBIGINT)" for value in values)
        found = engine.rows(f"SELECT mix64(col0) FROM (VALUES {listed})")
    assert [row[0] for row in found] == mix(values).tolist()


def test_the_cap_leaves_the_latest_in_the_order_without_it(prepare, tied_rows, file_order):
    whole = file_order(prepare(tied_rows).folder)
    prepared = prepare(tied_rows, max_history=4)
    assert file_order(prepared.folder) == {user: rows[-4:] for user, rows in whole.items()}
    assert prepared.dropped == {"older than the latest 4 of the user": 20 * 6}
