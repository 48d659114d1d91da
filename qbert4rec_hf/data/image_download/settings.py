"""What a download of pictures may cost, and what counts as a picture."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...errors import QBert4RecError

# A whole picture, redirects included, may take this many times the time-out; a server that sends a
# byte now and then would else hold a connection for ever.
_TOTAL_TIMEOUTS = 6


@dataclass(frozen=True)
class DownloadSettings:
    """Limits of a download.

    Args:
        concurrency: pictures that are fetched at the same time.
        per_host: how many of them from one host.
        timeout: seconds to wait for a connection, or for the next bytes.
        retries: further tries after a failure that may pass (time-outs, broken connections, HTTP
            408, 425, 429, 500, 502, 503 and 504).
        max_bytes: larger files are given up while they arrive.
        max_pixels: pictures with more are not decoded.
        max_side: longest side in pixels of a stored picture.
        max_images: addresses an item that are fetched, the first ones; later ones stay listed.
        max_redirects: redirects that are followed for one picture.
        min_side: a picture with a shorter side counts as the placeholder of a missing one.
        placeholder_repeats: the same bytes from this many addresses are the "no picture" of an
            image host; 0 believes them.
        give_up_after: a host is given up after so many addresses in a row that it failed to
            answer.
        first_delay: seconds before the first further try; doubled for each one after it.
        longest_delay: seconds that are waited at most, also where a server asks for more.
        jpeg_quality: of stored pictures.
        allow_private_addresses: also fetch from this machine and from private networks. Addresses
            in a catalogue are written by strangers: only for catalogues of one's own.
        retry_failed: try again what failed in an earlier run.

    Raises:
        QBert4RecError: a value out of range.
    """

    concurrency: int = 16
    per_host: int = 8
    timeout: float = 20.0
    retries: int = 4
    max_bytes: int = 20_000_000
    max_pixels: int = 40_000_000
    max_side: int = 512
    max_images: int = 4
    max_redirects: int = 5
    min_side: int = 4
    placeholder_repeats: int = 20
    give_up_after: int = 20
    first_delay: float = 0.5
    longest_delay: float = 60.0
    jpeg_quality: int = 90
    allow_private_addresses: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        may_be_zero = ("retries", "max_redirects", "placeholder_repeats", "first_delay")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool):
                continue
            if field.name in ("timeout", "longest_delay"):
                fits, wanted = value > 0, "above 0"
            elif field.name in may_be_zero:
                fits, wanted = value >= 0, "at least 0"
            else:
                fits, wanted = value >= 1, "at least 1"
            # Asked this way round, what is no number fails too.
            if not fits:
                raise QBert4RecError(f"{field.name} must be {wanted}, got {value}")
        if self.placeholder_repeats == 1:
            raise QBert4RecError("placeholder_repeats must be 0 or at least 2, got 1")
        if not self.jpeg_quality <= 95:
            raise QBert4RecError(f"jpeg_quality must be at most 95, got {self.jpeg_quality}")

    @property
    def total_timeout(self) -> float:
        """Seconds that one try may take, redirects and the whole body included."""
        return _TOTAL_TIMEOUTS * self.timeout
