"""A whole model card as a pattern, for the facts of `test_model_card.py`."""

from __future__ import annotations

import re

import yaml

from qbert4rec_hf.hub.card_facts import ModelCardFacts

# Everything that a card holds, in its order; `...` stands for any text in one paragraph.
PATTERN = """
---
base_model:
- org/encoder
library_name: transformers
license: apache-2.0
metrics:
- hr_at_1
- hr_at_5
- hr_at_10
- ndcg_at_5
- ndcg_at_10
pipeline_tag: fill-mask
tags:
- qbert4rec
- recommendation
- sequential-recommendation
- multimodal-recommendation
- semantic-ids
model-index:
{index}
---

# tiny

Recommends the next item to users of **teashop** ... Each of the 4 items is a semantic ID of 2 \
tokens; ... NDCG@10 on the test split: {all:.4f} ranking everything, {unseen:.4f} seen items \
excluded.

## Use it

With the package `qbert4rec_hf`:

```python
from qbert4rec_hf import Recommender

recommender = Recommender.from_pretrained("shop/tiny")
for item in recommender.recommend(["mug-01", "tea-01"], top_k=5):
    print(f"{{item.score:.3f}}  {{item.item_id}}  {{item.title}}")
```

which answers:

History: mug-01 (Stoneware mug).

| item | title | score |
| --- | --- | ---: |
| pot-01 | Teapot | 0.500 |

Items of the history are left out unless ...

Without the package ...:

```python
from transformers import pipeline

recommend = pipeline("next-item-recommendation", model="shop/tiny", trust_remote_code=True)
for item in recommend(["mug-01", "tea-01"], top_k=5):
    print(f"{{item['score']:.3f}}  {{item['item_id']}}  {{item['title']}}")
```

The models themselves ...:

```python
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

model = AutoModelForMaskedLM.from_pretrained("shop/tiny", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained("shop/tiny", trust_remote_code=True)
encoder = AutoModel.from_pretrained("shop/tiny", trust_remote_code=True)
fusion = AutoModel.from_pretrained("shop/tiny", subfolder="fusion", trust_remote_code=True)
quantizer = AutoModel.from_pretrained("shop/tiny", subfolder="quantizer", trust_remote_code=True)

# The same history as semantic IDs; catalog.parquet holds those of all items.
history = "<a_1><b_2>"
inputs = tokenizer(history, return_tensors="pt")
scores = model.score_items(**inputs)  # a log-probability for each row of catalog.parquet
```

## Domain

|  |  |
| --- | --- |
| domain | teashop |
| items | 4 |
| users | 3 |
| source | made up |
| pre-trained on | garden, home |

## How it was made

1. Fusion joins an item's features (text: hf_text org/encoder main, 384 numbers) into one vector.
2. A quantizer turns it into a semantic ID (8 x 8 codes), unique in the domain.
3. The sequence model learns from histories of such IDs: pre-trained, then fine-tuned.

The ranking mixes in an item graph ... Its share was chosen on validation users: 0.25 ranking \
everything, 0.50 seen items excluded. So was the temperature of the model's probabilities: 1.4.

Where everything is ranked, the scores of the items of a user's own history are multiplied by \
0.03, chosen on validation users too.

| setting | value |
| --- | --- |
| finetune.epochs | 30 |

One command makes it again:

```bash
qbert4rec run --domain teashop --output-dir run
```

<details>
<summary>All settings</summary>

| setting | value |
| --- | --- |
| seed | 3 |
| finetune.epochs | 30 |

</details>

|  |  |
| --- | --- |
| seed | 3 |
| hardware | x86_64, 2 CPU cores |
| seconds | 13 (fusion 2, finetune 10) |
| energy | not metered; at an assumed 10 W a CPU core some 0.07 Wh, or 0.034 g of CO2 at 480 g \
a kWh |
| parameters of the sequence model | 12,345 |
| versions | torch 2.0 |

## Figures

Test split (leave-one-out: ...), 3 users, 4 candidates each: ...

| Ranking everything | HR@1 | HR@5 | HR@10 | NDCG@5 | NDCG@10 | coverage@10 |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| Q-BERT4Rec | {row_model_all}
| EASE | {row_graph_all}

The test item of 67% of these users shares its time stamp with the item before: ...

| Seen items excluded | HR@1 | HR@5 | HR@10 | NDCG@5 | NDCG@10 | coverage@10 |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| Q-BERT4Rec | {row_model_unseen}
| EASE | {row_graph_unseen}

The test item of 67% of these users shares its time stamp with the item before: ...

coverage@10 is the share of the catalogue among the first ten of any user.

## Limits and biases

- It ranks the 4 items ...
- Of a history it reads the latest 20 items.
- NDCG@10 by the target's interactions in training: 0: {cold:.4f}, 1-4: {warm:.4f}.
- For 1 of 3 users the target has no interaction in training.
- The item graph alone (EASE), which needs no training, reaches NDCG@10 {graph_all:.4f} ranking \
everything and {graph_unseen:.4f} seen items excluded; this model {all:.4f} ranking everything \
and {unseen:.4f} seen items excluded.
- It learned what people took, ...
- The figures count whether ...
- Texts and images ...
- The order is taken on trust.

## Citation

The method is that of the paper below; ...

```bibtex
@article{{huang2025qbert4rec,
  title   = {{Q-BERT4Rec: Quantized Semantic-ID Representation Learning for Multimodal
             Recommendation}},
  author  = {{Huang, Haofeng and Gai, Ling}},
  journal = {{arXiv preprint arXiv:2512.02474}},
  year    = {{2025}}
}}
```

Licence: apache-2.0.
"""


def expected(facts: ModelCardFacts) -> re.Pattern:
    model, graph = facts.results
    names = ("HR@1", "HR@5", "HR@10", "NDCG@5", "NDCG@10")

    def row(result, protocol):
        found = result.protocols[protocol]
        cells = [f"{found.metrics[name]:.4f}" for name in names] + [f"{found.coverage:.3f}"]
        return " | ".join(cells) + " |"

    index = [
        {
            "name": "tiny",
            "results": [
                {
                    "task": {
                        "type": "recommendation",
                        "name": "Next-item recommendation, the whole catalogue ranked",
                    },
                    "dataset": {"name": "teashop", "type": "teashop", "split": "test"},
                    "metrics": [
                        {
                            "type": name.lower().replace("@", "_at_"),
                            "value": round(model.protocols[protocol].metrics[name], 6),
                            "name": f"{name} ({title})",
                            "config": protocol,
                            "args": {"exclude_seen": protocol == "unseen_items"},
                        }
                        for protocol, title in (
                            ("all_items", "ranking everything"),
                            ("unseen_items", "seen items excluded"),
                        )
                        for name in names
                    ],
                }
            ],
        }
    ]
    cold, warm = model.protocols["all_items"].by_popularity
    text = PATTERN.strip().format(
        index=yaml.safe_dump(index, sort_keys=False).strip(),
        all=model.metric(),
        unseen=model.metric(protocol="unseen_items"),
        graph_all=graph.metric(),
        graph_unseen=graph.metric(protocol="unseen_items"),
        cold=cold.metrics["NDCG@10"],
        warm=warm.metrics["NDCG@10"],
        row_model_all=row(model, "all_items"),
        row_graph_all=row(graph, "all_items"),
        row_model_unseen=row(model, "unseen_items"),
        row_graph_unseen=row(graph, "unseen_items"),
    )
    # A template's long lines are wrapped; a pattern does not care where.
    return re.compile(re.escape(text).replace(r"\.\.\.", r"[^|#]*?") + "\n")
