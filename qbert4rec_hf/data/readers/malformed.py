"""Counting the lines of a file that cannot be understood."""

from __future__ import annotations

from pathlib import Path

from ...errors import QBert4RecError
from .report import MalformedLine


class MalformedLines:
    """Counts the lines of a file that cannot be understood, and keeps the first few.

    Args:
        path: the file.
        shown: how many to keep.
        strict: whether one is an error.
    """

    def __init__(self, path: Path, shown: int, *, strict: bool = False) -> None:
        self.path = path
        self.count = 0
        self.first: list[MalformedLine] = []
        self._shown = shown
        self._strict = strict

    def add(self, line: int, why: str) -> None:
        """Counts a line.

        Raises:
            QBert4RecError: malformed lines are errors.
        """
        if self._strict:
            raise QBert4RecError(
                f"{self.path}, line {line}: {why}; mend it, or leave out --strict to skip such "
                "lines"
            )
        self.count += 1
        # Batches may come in any order; the lowest line numbers are the first.
        if self._shown <= 0:
            return
        if len(self.first) < self._shown or line < self.first[-1].line:
            self.first.append(MalformedLine(line, why))
            self.first.sort(key=lambda malformed: malformed.line)
            del self.first[self._shown :]
