"""Why a picture could not be had."""

from __future__ import annotations

# Reasons as the manifest and the summary name them; an HTTP status has `http_reason`.
MALFORMED_ADDRESS = "malformed address"
NOT_PUBLIC = "not a public address"
NO_HOST = "host not found"
NO_CONNECTION = "no connection"
TLS = "no trusted TLS connection"
TIMEOUT = "time-out"
GIVEN_UP = "host given up"
REDIRECTS = "too many redirects"
MALFORMED_ANSWER = "malformed answer"
INCOMPLETE = "incomplete answer"
TOO_LARGE = "too many bytes"
TOO_MANY_PIXELS = "too many pixels"
NOT_A_PICTURE = "not a picture"
BROKEN = "broken picture"
PLACEHOLDER = "placeholder"


class DownloadFailure(Exception):
    """A picture could not be had; its item lacks it, and the run goes on.

    Args:
        reason: one of this module's reasons.
        detail: what happened, for the manifest.
        transient: whether another try may help.
        retry_after: seconds that the server asks to wait.
        host_at_fault: whether the host did not answer properly, so that its other addresses may
            fail likewise.
        host_busy: whether the host wants to be left alone for a while.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        transient: bool = False,
        retry_after: float | None = None,
        host_at_fault: bool = False,
        host_busy: bool = False,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.transient = transient
        self.retry_after = retry_after
        self.host_at_fault = host_at_fault
        self.host_busy = host_busy


def http_reason(status: int) -> str:
    """The reason of an answer other than 200."""
    return f"HTTP {status}"
