from __future__ import annotations

import asyncio
import socket

import pytest

from qbert4rec_hf.data.image_download.addresses import CheckedResolver, checked_url, is_public
from qbert4rec_hf.data.image_download.failure import DownloadFailure

CLOSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:0:53aa:64c::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    # No address in the usual notation.
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "",
    "shop.example",
]
OPEN = [
    "8.8.8.8",
    "1.1.1.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.167.1.1",
    "100.128.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001:80b::200e",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize("address", CLOSED)
def test_closed_addresses(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg",
        "http://127.0.0.1./a.jpg",
        "http://[::1]/a.jpg",
        "http://[::ffff:127.0.0.1]/a.jpg",
        "http://[fe80::1%25eth0]/a.jpg",
        "http://2130706433/a.jpg",
        "http://127.1/a.jpg",
        "http://0177.0.0.1/a.jpg",
        "http://①②⑦.⓪.⓪.①/a.jpg",
        "http://user:secret@169.254.169.254/latest/meta-data",
    ],
)
def test_numbers_are_checked_without_a_lookup(url):
    with pytest.raises(DownloadFailure, match="not a public address"):
        checked_url(url, allow_private=False)
    checked_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://shop.example/a.jpg",
        "gopher://shop.example/a",
        "data:image/png;base64,AAAA",
        "//shop.example/a.jpg",
        "a.jpg",
        "",
        "http://",
        "http:///a.jpg",
        "http://shop.example:99999/a.jpg",
        "http://shop.example:port/a.jpg",
        "http://[::1/a.jpg",
    ],
)
def test_other_schemes_and_malformed_addresses(url):
    with pytest.raises(DownloadFailure, match="malformed address"):
        checked_url(url, allow_private=True)


def test_credentials_and_fragments_are_left_out():
    url = checked_url("HTTP://me:secret@Shop.example:8080/a b.jpg?x=1#part", allow_private=False)
    assert str(url) == "http://shop.example:8080/a%20b.jpg?x=1"
    assert url.user is None and url.password is None


def lookup_of(*addresses):
    async def lookup(host, port, family):
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port))
            for kind, address in zip(kinds, addresses, strict=True)
        ]

    return lookup


def resolve(lookup, *, allow_private=False):
    resolver = CheckedResolver(allow_private=allow_private, lookup=lookup)
    return asyncio.run(resolver.resolve("shop.example", 80))


def test_only_public_addresses_of_a_name_are_returned():
    found = resolve(lookup_of("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111"))
    assert [address["host"] for address in found] == ["8.8.8.8", "2606:4700::1111"]
    # A second lookup, by whoever connects, would undo the check.
    assert all(address["flags"] & socket.AI_NUMERICHOST for address in found)
    found = resolve(lookup_of("10.0.0.1", "8.8.8.8"), allow_private=True)
    assert len(found) == 2


def test_a_name_without_public_address_is_refused():
    with pytest.raises(DownloadFailure, match="shop.example is 127.0.0.1"):
        resolve(lookup_of("127.0.0.1"))
    with pytest.raises(DownloadFailure, match="not a public address"):
        resolve(lookup_of())


@pytest.mark.parametrize(
    ("error", "reason", "transient"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name not known"), "host not found", False),
        (socket.gaierror(socket.EAI_AGAIN, "Try again"), "host not found", True),
        (UnicodeError("label too long"), "malformed address", False),
    ],
)
def test_unknown_names(error, reason, transient):
    async def lookup(host, port, family):
        raise error

    with pytest.raises(DownloadFailure) as caught:
        resolve(lookup)
    assert caught.value.reason == reason and caught.value.transient == transient


@pytest.mark.parametrize("host", ["localhost", "0x7f.0.0.1", "0x7f000001"])
def test_what_the_system_takes_for_this_machine(host):
    resolver = CheckedResolver(allow_private=False)
    with pytest.raises(DownloadFailure) as caught:
        asyncio.run(resolver.resolve(host, 80))
    assert caught.value.reason in ("not a public address", "host not found")
