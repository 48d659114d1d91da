"""Which addresses may be asked for a picture.

The addresses of a catalogue are untrusted: whoever may list a product can write
`http://169.254.169.254/` into it, or a name that resolves to a machine behind our firewall. So
only public addresses are connected to. The check stands where names are resolved, and the
connection goes to the very address that was checked: a name that resolves to something else a
moment later (DNS rebinding) gains nothing.

Source: IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp.abc import AbstractResolver
from yarl import URL

from .failure import MALFORMED_ADDRESS, NO_HOST, NOT_PUBLIC, DownloadFailure

# Looks a name up as `loop.getaddrinfo` does.
Lookup = Callable[[str, int, int], Awaitable[Sequence[tuple]]]

_SCHEMES = ("http", "https")

# Written out, since what `ipaddress` calls global differs between versions of Python.
_CLOSED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers; metadata service of one cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # metadata service of one cloud, in a public range
        "169.254.0.0/16",  # link-local; metadata service of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# All else in IPv6 is loopback, link-local, unique local, multicast, mapped or reserved.
_OPEN_IPV6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo tunnels
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_6TO4 = ipaddress.IPv6Network("2002::/16")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address is a machine on the public internet.

    Args:
        address: in the usual notation; anything else is not public.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in _CLOSED_IPV4)
    if found.scope_id:
        return False
    # These two carry an IPv4 address, which is where the packets end up.
    if found in _6TO4:
        return is_public(str(ipaddress.IPv4Address(int(found) >> 80 & 0xFFFFFFFF)))
    if found in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found in _OPEN_IPV6 and not any(found in network for network in _CLOSED_IPV6)


def checked_url(address: str | URL, *, allow_private: bool) -> URL:
    """Checks an address of a picture as far as it can be done without looking its name up.

    Returns:
        The address without user name, password and fragment.

    Raises:
        DownloadFailure: it is malformed, has another scheme than http and https, or is a number
            that is no public address.
    """
    try:
        url = URL(address)
        # Asking for the port reads it.
        host, _ = url.raw_host, url.port
        url = url.with_fragment(None)
        if host and (url.raw_user is not None or url.raw_password is not None):
            url = url.with_user(None)
    except (ValueError, TypeError, UnicodeError) as error:
        raise DownloadFailure(MALFORMED_ADDRESS, str(error)) from None
    if url.scheme not in _SCHEMES:
        raise DownloadFailure(MALFORMED_ADDRESS, f"scheme {url.scheme or 'missing'}")
    if not host:
        raise DownloadFailure(MALFORMED_ADDRESS, "no host")
    # Numbers are not looked up, so they are checked here. Short forms such as 127.1 and 2130706433
    # are no notation that `is_public` knows.
    number = host.rstrip(".")
    is_number = ":" in number or number.replace(".", "").isdigit()
    if is_number and not allow_private and not is_public(number):
        raise DownloadFailure(NOT_PUBLIC, host)
    return url


class CheckedResolver(AbstractResolver):
    """Looks names up and returns public addresses only.

    Args:
        allow_private: return every address.
        lookup: in place of the system's.
    """

    def __init__(self, *, allow_private: bool, lookup: Lookup | None = None) -> None:
        self._allow_private = allow_private
        self._lookup = lookup or _system_lookup

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_UNSPEC
    ) -> list[dict[str, Any]]:
        """The addresses of a host, in the form that aiohttp connects to.

        Raises:
            DownloadFailure: the host is unknown, or has no public address.
        """
        try:
            found = await self._lookup(host, port, family)
        except OSError as error:
            raise DownloadFailure(
                NO_HOST,
                str(error.strerror or error),
                transient=error.errno == socket.EAI_AGAIN,
                host_at_fault=True,
            ) from None
        except UnicodeError as error:
            # A label that is empty or too long.
            raise DownloadFailure(MALFORMED_ADDRESS, str(error)) from None
        addresses = []
        for kind, _, protocol, _, place in found:
            if self._allow_private or is_public(str(place[0])):
                addresses.append(
                    {
                        "hostname": host,
                        "host": place[0],
                        "port": port,
                        "family": kind,
                        "proto": protocol,
                        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                    }
                )
        if not addresses:
            raise DownloadFailure(NOT_PUBLIC, f"{host} is {found[0][4][0] if found else 'nothing'}")
        return addresses

    async def close(self) -> None:
        """Nothing to close."""


async def _system_lookup(host: str, port: int, family: int) -> Sequence[tuple]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
