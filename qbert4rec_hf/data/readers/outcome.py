"""What is said of a file once it has been read to its end."""

from __future__ import annotations

from ...errors import QBert4RecError
from .lines import LineReader
from .malformed import MalformedLines
from .options import ReadOptions
from .report import FileReport


def complete_report(
    report: FileReport, lines: LineReader, malformed: MalformedLines, options: ReadOptions
) -> None:
    """Adds to a report what only the end of a file tells.

    Args:
        report: the report, its rows and dropped rows counted.
        lines: the lines, read to their end.
        malformed: the malformed ones.
        options: what the user says about the files.

    Raises:
        QBert4RecError: the file stops in the middle, or none of its rows can be used.
    """
    stream = lines.stream
    report.encoding = lines.encoding if report.encoding is not None else None
    report.malformed = malformed.count
    report.first_malformed = malformed.first
    if stream.problem is not None:
        if not options.allow_truncated:
            raise QBert4RecError(
                f"{report.path} {stream.problem} (a broken download?): {report.rows:,} rows were "
                f"readable, up to line {lines.last:,}; fetch it again, or take those with "
                "--allow-truncated"
            )
        report.truncated_at_row = lines.last
        report.remarks.append(stream.problem)
    if stream.remark is not None:
        report.remarks.append(stream.remark)
    if lines.foreign:
        report.noted["line is not UTF-8, read as Windows-1252"] = lines.foreign
    if not report.rows:
        raise QBert4RecError(f"{report.path} has no row that can be used{_why_none(report)}")


def _why_none(report: FileReport) -> str:
    reasons = [f"{reason}: {count:,}" for reason, count in report.dropped.items()]
    if report.malformed:
        first = report.first_malformed[0] if report.first_malformed else None
        where = f", the first in line {first.line}: {first.why}" if first else ""
        reasons.append(f"malformed lines: {report.malformed:,}{where}")
    if not reasons:
        return "; it holds nothing below its header"
    return f" ({'; '.join(reasons)}); check the columns and the format"
