"""HR@k and NDCG@k of ranked lists with one relevant item each, for the `evaluate` library.

The file stands for itself, so that it loads from the Hub where the package is not installed.
"""

import datasets
import evaluate
import numpy as np

_DESCRIPTION = """
Hit rate and NDCG of next-item recommendation: each prediction is a list of items, best first, each
reference the one item that the user took. HR@k is the share of lists whose first k items hold the
reference; NDCG@k adds 1 / log2(1 + rank) for such a list.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: one list of item ids (strings) a user, best first. A list shorter than k counts
        as a miss beyond its end.
    references: one item id a user.
    ks: cut-offs, by default 1, 5 and 10.
Returns:
    "HR@k" and "NDCG@k" for each k.
Examples:
    >>> import evaluate
    >>> metric = evaluate.load("./hr_ndcg")  # or "OWNER/hr_ndcg" of the Hub
    >>> metric.compute(predictions=[["a", "b", "c"]], references=["c"], ks=[1, 3])
    {'HR@1': 0.0, 'HR@3': 1.0, 'NDCG@1': 0.0, 'NDCG@3': 0.5}
"""

_CITATION = ""

# Beyond every cut-off, without the overflow that an infinite rank would bring.
_MISS = 2**31


class HrNdcg(evaluate.Metric):
    """HR@k and NDCG@k over ranked lists of item ids."""

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("string")),
                    "references": datasets.Value("string"),
                }
            ),
        )

    def _compute(self, predictions, references, ks=(1, 5, 10)):
        ranks = [
            items.index(wanted) + 1 if wanted in items else _MISS
            for items, wanted in zip(map(list, predictions), references, strict=True)
        ]
        ranks = np.array(ranks, dtype=np.int64)
        gains = 1.0 / np.log2(1.0 + ranks)
        hits = {f"HR@{k}": float((ranks <= k).mean()) for k in ks}
        return hits | {f"NDCG@{k}": float((gains * (ranks <= k)).mean()) for k in ks}
