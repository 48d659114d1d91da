import torch

from qbert4rec_hf.training.index_rows import RowNumbers, gather_collator


def test_rows_are_gathered_a_batch_at_a_time():
    values = torch.arange(10) * 2
    loader = torch.utils.data.DataLoader(
        RowNumbers(5), batch_size=2, collate_fn=gather_collator(lambda rows: {"v": values[rows]})
    )
    assert [batch["v"].tolist() for batch in loader] == [[0, 2], [4, 6], [8]]
