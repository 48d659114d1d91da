"""The one exception that a user's mistake raises."""

from __future__ import annotations


class QBert4RecError(ValueError):
    """A mistake in what the user gave.

    The message is one line that names the file, row or argument and the way out. The command line
    prints it without a traceback and exits with status 2; in a notebook it is an ordinary
    `ValueError`.

    Example:
        >>> from qbert4rec_hf import Domain, QBert4RecError
        >>> try:
        ...     Domain.load("my shop")
        ... except QBert4RecError as error:
        ...     print(error)
        my shop is not a folder; give the path of a domain folder, or the id of a dataset...
    """
