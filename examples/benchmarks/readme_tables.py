"""Writes the README's headline tables anew from the results of `recipe.py`.

    python examples/benchmarks/readme_tables.py

Reads `results/recipe_X.json` beside this file and, of `results/recipe_X_variants.json`, the rows
that it lacks; replaces what stands in README.md between `<!-- figures -->` and
`<!-- end of figures -->`. Nobody types a figure.
"""

from __future__ import annotations

from pathlib import Path

from recipe import AS_THEY_ARE, DEPLOYED, PAPER, VARIANTS
from recipe_tables import ALONE, EASE, HEADINGS, MIXED, OURS

from qbert4rec_hf.files import read_json, write_text
from qbert4rec_hf.ranking.ranks import ALL_ITEMS, PROTOCOLS, UNSEEN_ITEMS

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
START, END = "<!-- figures -->", "<!-- end of figures -->"
DATA_SETS = ("Instruments", "Arts", "Beauty", "Toys")
LABELS = [variant.label for variant in VARIANTS.values() if variant.label != PAPER]
# Table 2 of the paper, HR@10 and NDCG@10; everything is ranked there.
REPORTED = {"Instruments": (0.1418, 0.1077), "Arts": (0.1419, 0.1039)}
SYSTEMS = {
    UNSEEN_ITEMS: (
        "Popularity",
        "EASE, tuned",
        EASE,
        PAPER,
        ALONE,
        *(f"{MIXED}, {label}" for label in LABELS),
        MIXED,
        *(f"{OURS}, {label}" for label in LABELS),
        OURS,
        DEPLOYED,
    ),
    ALL_ITEMS: (
        EASE,
        PAPER,
        ALONE,
        AS_THEY_ARE,
        MIXED,
        OURS,
    ),
}
FIGURES = ("HR@10", "NDCG@10")


def table(records: dict[str, dict], protocol: str) -> list[str]:
    """One table: a row a system, HR@10 / NDCG@10 in a column a data set."""
    lines = [
        f"| {HEADINGS[protocol].lower()}, HR@10 / NDCG@10 | " + " | ".join(records) + " |",
        "|---|" + "---|" * len(records),
    ]
    if protocol == ALL_ITEMS:
        cells = [
            "{:.4f} / {:.4f}".format(*REPORTED[name]) if name in REPORTED else ""
            for name in records
        ]
        lines.append("| *Q-BERT4Rec, as the paper reports it* | " + " | ".join(cells) + " |")
    measured = {row["system"] for record in records.values() for row in record["rows"]}
    for system in SYSTEMS[protocol]:
        if system not in measured:
            continue
        cells = []
        for record in records.values():
            row = row_of(record, system)
            if row is None:
                cells.append("")
                continue
            figures = (row[protocol][metric]["mean"] for metric in FIGURES)
            cell = " / ".join(f"{figure:.4f}" for figure in figures)
            cells.append(f"**{cell}**" if system == OURS else cell)
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return lines


def row_of(record: dict, system: str) -> dict | None:
    """The row of a system, where it was measured."""
    return next((row for row in record["rows"] if row["system"] == system), None)


def read_record(data_set: str) -> dict | None:
    """The results of a data set with the rows of its further variants, where it was measured."""
    path = HERE / "results" / f"recipe_{data_set.lower()}.json"
    if not path.is_file():
        return None
    record = read_json(path)
    further = path.with_stem(f"{path.stem}_variants")
    if further.is_file():
        rows = read_json(further)["rows"]
        record["rows"] += [row for row in rows if row_of(record, row["system"]) is None]
    return record


def spread(records: dict[str, dict]) -> str:
    """The largest standard deviation over seeds of our rows, in words."""
    largest = {
        metric: max(
            row[protocol][metric]["std"]
            for record in records.values()
            for row in record["rows"]
            if row["system"] in (OURS, MIXED, ALONE)
            for protocol in PROTOCOLS
        )
        for metric in FIGURES
    }
    parts = " and ".join(f"{value:.4f} in {metric}" for metric, value in largest.items())
    return f"Standard deviation over seeds, the largest of these columns: {parts}."


def main() -> None:
    found = {name: read_record(name) for name in DATA_SETS}
    records = {name: record for name, record in found.items() if record is not None}
    runs = {
        name: [run for run in record["runs"] if run["name"].startswith("seed")]
        for name, record in records.items()
    }
    seeds = ", ".join(f"{len(of_set)} ({name})" for name, of_set in runs.items())
    seconds = ", ".join(
        f"{sum(run['training_seconds'] for run in of_set) / len(of_set):.0f} s ({name})"
        for name, of_set in runs.items()
    )
    lines = [
        *table(records, UNSEEN_ITEMS),
        "",
        *table(records, ALL_ITEMS),
        "",
        f"Seeds: {seeds}; one for the paper's objective and the rows that name what differs. "
        f"{spread(records)} Training, all stages: {seconds}.",
    ]
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    write_text(README, "\n".join([before + START, "", *lines, "", END + after]))
    print(f"{README} holds the figures of {', '.join(records)}")


if __name__ == "__main__":
    main()
