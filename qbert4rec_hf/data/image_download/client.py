"""Asks servers for pictures and believes nothing that they say."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import ssl
import time
import zlib
from email.utils import parsedate_to_datetime

import aiohttp
import certifi
from yarl import URL

from ... import __version__
from .addresses import CheckedResolver, Lookup, checked_url
from .failure import (
    INCOMPLETE,
    MALFORMED_ADDRESS,
    MALFORMED_ANSWER,
    NO_CONNECTION,
    NOT_A_PICTURE,
    PLACEHOLDER,
    REDIRECTS,
    TIMEOUT,
    TLS,
    TOO_LARGE,
    DownloadFailure,
    http_reason,
)
from .formats import HEAD_BYTES, describe_body, picture_format
from .settings import DownloadSettings

USER_AGENT = f"qbert4rec_hf/{__version__}"

_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "image/jpeg,image/png,image/webp,image/gif,image/*;q=0.8",
    # Pictures are compressed already.
    "Accept-Encoding": "identity",
}
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
# With these a server speaks of itself, not of the picture.
_HOST_BUSY = (429, 503)
# Error pages up to this size are read to their end, so that the connection can serve again.
_DRAINED_BYTES = 65_536
_CHUNK_BYTES = 65_536
# File names by which shops and image hosts say that there is no picture.
_PLACEHOLDER_NAME = re.compile(
    r"^(no|missing)[-_ ]?(img|image|photo|picture|pic)s?([-_. ]|$)"
    r"|^(image|img|photo|picture)[-_ ]?(is[-_ ])?(not[-_ ]?(available|found)|unavailable|missing)"
    r"|^(placeholder|default[-_]?image)([-_.]|$)",
    re.IGNORECASE,
)


class PictureClient:
    """Fetches pictures; used as an asynchronous context.

    Connections are kept and used again. No cookies, no proxies, no credentials.

    Args:
        settings: limits.
        lookup: of host names, in place of the system's.
    """

    def __init__(self, settings: DownloadSettings, *, lookup: Lookup | None = None) -> None:
        self._settings = settings
        self._lookup = lookup
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> PictureClient:
        settings = self._settings
        connector = aiohttp.TCPConnector(
            limit=0,  # the schedule limits the whole
            limit_per_host=settings.per_host,
            resolver=CheckedResolver(
                allow_private=settings.allow_private_addresses, lookup=self._lookup
            ),
            ttl_dns_cache=300,
            ssl=tls_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=settings.timeout, sock_read=settings.timeout
            ),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def fetch(self, address: str) -> bytes:
        """Fetches a picture, once.

        Returns:
            The file, which begins like a picture.

        Raises:
            DownloadFailure: it could not be had.
        """
        limit = self._settings.total_timeout
        try:
            return await asyncio.wait_for(self._follow(address), limit)
        except asyncio.TimeoutError:
            # Not tried again: the server answers, at a rate that leads nowhere.
            raise DownloadFailure(
                TIMEOUT, f"not complete after {limit:g} seconds", host_at_fault=True
            ) from None

    async def _follow(self, address: str) -> bytes:
        url: str | URL = address
        for _ in range(self._settings.max_redirects + 1):
            url = checked_url(url, allow_private=self._settings.allow_private_addresses)
            if is_placeholder_name(url):
                raise DownloadFailure(PLACEHOLDER, f"named {url.name[:80]}")
            answer = await self._ask(url)
            if isinstance(answer, bytes):
                return answer
            try:
                url = url.join(URL(answer))
            except ValueError as error:
                raise DownloadFailure(MALFORMED_ADDRESS, f"redirect: {error}") from None
        raise DownloadFailure(REDIRECTS, f"more than {self._settings.max_redirects}")

    async def _ask(self, url: URL) -> bytes | str:
        """The body of an answer, or where it sends us."""
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status in _REDIRECTS and response.headers.get("Location"):
                    await _drain(response)
                    return response.headers["Location"]
                if response.status != 200:
                    await _drain(response)
                    raise _status_failure(response)
                return await self._body(response)
        except aiohttp.ServerTimeoutError as error:
            raise DownloadFailure(
                TIMEOUT, _first_line(error), transient=True, host_at_fault=True
            ) from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise DownloadFailure(TLS, _first_line(error), host_at_fault=True) from None
        except aiohttp.InvalidURL as error:
            raise DownloadFailure(MALFORMED_ADDRESS, _first_line(error)) from None
        except aiohttp.ClientPayloadError as error:
            raise DownloadFailure(INCOMPLETE, _first_line(error), transient=True) from None
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise DownloadFailure(
                NO_CONNECTION, _first_line(error), transient=True, host_at_fault=True
            ) from None
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, ValueError) as error:
            raise DownloadFailure(MALFORMED_ANSWER, _first_line(error)) from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._settings.max_bytes
        announced = response.content_length
        if announced is not None and announced > limit:
            raise DownloadFailure(TOO_LARGE, f"{announced:,} announced, {limit:,} allowed")
        unpack = _unpacker(response.headers.get("Content-Encoding", ""))
        body = bytearray()
        received = 0
        looked_at = False
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            # Packed bytes count too: zlib keeps whatever follows the packed data.
            received += len(chunk)
            body += chunk if unpack is None else _unpacked(unpack, chunk, limit + 1 - len(body))
            if max(received, len(body)) > limit:
                raise DownloadFailure(TOO_LARGE, f"more than {limit:,}")
            if not looked_at and len(body) >= HEAD_BYTES:
                # Nobody needs the rest of an error page.
                looked_at = True
                _check_head(response, body)
        if not looked_at:
            _check_head(response, body)
        return bytes(body)


@functools.lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """What is trusted: the system's certificates and those of certifi.

    Some installations of Python find none of the system's.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def is_placeholder_name(url: URL) -> bool:
    """Whether an address names a picture that says that there is none, such as `no-img-sm.gif`."""
    return bool(_PLACEHOLDER_NAME.match(url.name))


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks to wait: it gives seconds, or a date."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # More digits than a float holds are for ever.
        return float(value[:12])
    try:
        when = parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return max(0.0, when - time.time())


def _check_head(response: aiohttp.ClientResponse, body: bytearray) -> None:
    if picture_format(bytes(body[:HEAD_BYTES])) is None:
        kind = response.headers.get("Content-Type", "")
        raise DownloadFailure(NOT_A_PICTURE, describe_body(bytes(body[:HEAD_BYTES]), kind))


async def _drain(response: aiohttp.ClientResponse) -> None:
    if response.content_length is not None and response.content_length <= _DRAINED_BYTES:
        # The status is known already, so nothing is missed in a page that breaks off.
        with contextlib.suppress(aiohttp.ClientPayloadError):
            await response.read()


def _status_failure(response: aiohttp.ClientResponse) -> DownloadFailure:
    status = response.status
    return DownloadFailure(
        http_reason(status),
        transient=status in _TRANSIENT,
        retry_after=retry_after(response.headers.get("Retry-After")),
        host_at_fault=status in _HOST_BUSY,
        host_busy=status in _HOST_BUSY,
    )


def _unpacker(encoding: str) -> zlib._Decompress | None:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        # 32 more window bits: zlib finds out itself which of the two forms it is.
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    raise DownloadFailure(MALFORMED_ANSWER, f"Content-Encoding {encoding[:40]}")


def _unpacked(unpack: zlib._Decompress, chunk: bytes, most: int) -> bytes:
    try:
        return unpack.decompress(chunk, most)
    except zlib.error as error:
        raise DownloadFailure(MALFORMED_ANSWER, str(error)) from None


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__
