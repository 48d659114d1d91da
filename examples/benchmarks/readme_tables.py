"""Writes the README's headline tables anew from the results of `recipe.py`.

    python examples/benchmarks/readme_tables.py

Reads `results/recipe_*.json` beside this file and replaces what stands in the README between
`<!-- figures -->` and `<!-- end of figures -->`. Nobody types a figure.
"""

from __future__ import annotations

from pathlib import Path

from recipe import AS_THEY_ARE, DEPLOYED, PAPER, SCRATCH
from recipe_tables import ALONE, EASE, HEADINGS, OURS

from qbert4rec_hf.files import read_json, write_text
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, UNSEEN_ITEMS

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
START, END = "<!-- figures -->", "<!-- end of figures -->"
DATA_SETS = ("Instruments", "Arts", "Beauty", "Toys")
# Table 2 of the paper, HR@10 and NDCG@10; everything is ranked there.
PAPER = {"Instruments": (0.1418, 0.1077), "Arts": (0.1419, 0.1039)}
SYSTEMS = {
    UNSEEN_ITEMS: ("Popularity", "EASE, tuned", EASE, "Q-BERT4Rec", OURS, DEPLOYED),
    ALL_ITEMS: (EASE, "Q-BERT4Rec", AS_THEY_ARE, OURS),
}


def table(records: dict[str, dict], protocol: str) -> list[str]:
    """One table: a row a system, HR@10 / NDCG@10 in a column a data set."""
    lines = [
        f"| {HEADINGS[protocol].lower()}, HR@10 / NDCG@10 | " + " | ".join(records) + " |",
        "|---|" + "---|" * len(records),
    ]
    if protocol == ALL_ITEMS:
        cells = [
            "{:.4f} / {:.4f}".format(*PAPER[name]) if name in PAPER else "" for name in records
        ]
        lines.append("| *Q-BERT4Rec, as the paper reports it* | " + " | ".join(cells) + " |")
    for system in SYSTEMS[protocol]:
        cells = []
        for record in records.values():
            (row,) = [row for row in record["rows"] if row["system"] == system]
            figures = (row[protocol][metric]["mean"] for metric in ("HR@10", "NDCG@10"))
            cell = " / ".join(f"{figure:.4f}" for figure in figures)
            cells.append(f"**{cell}**" if system == OURS else cell)
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    found = {path.stem: read_json(path) for path in HERE.glob("results/recipe_*.json")}
    by_name = {record["domain"]: record for record in found.values()}
    records = {name: by_name[name] for name in DATA_SETS if name in by_name}
    seeds = ", ".join(f"{len(record['runs'])} ({name})" for name, record in records.items())
    seconds = ", ".join(
        f"{sum(run['training_seconds'] for run in record['runs']) / len(record['runs']):.0f} s"
        f" ({name})"
        for name, record in records.items()
    )
    lines = [
        *table(records, UNSEEN_ITEMS),
        "",
        *table(records, ALL_ITEMS),
        "",
        f"Runs: {seeds}; training, all stages: {seconds}.",
    ]
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    write_text(README, "\n".join([before + START, "", *lines, "", END + after]))
    print(f"{README} holds the figures of {', '.join(records)}")


if __name__ == "__main__":
    main()
