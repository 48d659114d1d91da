"""What a preparation did, for people and for `preparation.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..domain_info import ON_TRUST, DomainInfo
from ..item_order import sorting_note


@dataclass(frozen=True)
class Preparation:
    """What a preparation did.

    Args:
        folder: the domain folder.
        info: what is known of the domain.
        table: the paper's Table 1, coverage and ties: name -> value.
        dropped: reason -> rows of the reviews left out for it. With them the interactions are all
            rows that were there.
        read: one mapping a file: what was read of it, dropped and found odd.
        settings: name -> value.
    """

    folder: Path
    info: DomainInfo
    table: dict[str, int | float]
    dropped: dict[str, int]
    read: list[dict[str, Any]]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What stands in `preparation.json`."""
        values = asdict(self)
        return {name: values[name] for name in ("table", "dropped", "read", "settings")}

    def __str__(self) -> str:
        """The tables for a terminal."""
        lines = [f"{self.folder}: {self.info.name}", *_lines(self.table)]
        if self.dropped:
            lines += ["rows left out", *_lines(self.dropped)]
        for file in self.read:
            lines += _file_lines(file)
        if self.info.time_order == ON_TRUST:
            note = "The reviews have no time stamps: their order is taken on trust."
            lines.append(f"{note} {sorting_note(self.info.rising_share)}".rstrip())
        return "\n".join(lines)


def show_value(name: str, value: int | float) -> str:
    """A value of the table to read: shares in percent.

    Example:
        >>> show_value("sparsity", 0.95583)
        '95.58%'
        >>> show_value("users", 22363)
        '22,363'
        >>> show_value("sparsity", 0.999982)
        '99.9982%'
    """
    if name.startswith("share") or name == "sparsity":
        shown = f"{value:.2%}"
        # A matrix with anything in it is not wholly empty.
        return f"{value:.4%}" if shown == "100.00%" and value < 1 else shown
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _lines(values: dict[str, int | float]) -> list[str]:
    shown = {name: show_value(name, value) for name, value in values.items()}
    width = max(map(len, shown))
    numbers = max(map(len, shown.values()))
    return [f"  {name:<{width}}  {value:>{numbers}}" for name, value in shown.items()]


def _file_lines(file: dict[str, Any]) -> list[str]:
    """One line a file, and below it what is odd."""
    lines = [f"{file['file']} ({file['format']}): {file['rows']:,} rows"]
    counts = {**file["dropped"], **{f"{what} (kept)": n for what, n in file["noted"].items()}}
    lines += [f"  {what}: {count:,}" for what, count in counts.items()]
    if file["malformed"]:
        lines.append(f"  malformed lines: {file['malformed']:,}")
        lines += [f"    line {bad['line']:,}: {bad['why']}" for bad in file["first_malformed"]]
    return lines + [f"  {remark}" for remark in file["remarks"]]
