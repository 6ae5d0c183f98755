"""Which addresses the gateway calls. What others tell it to call (webhooks) must lie on the public internet.

A name is resolved once, and the connection goes to the very addresses that were checked: a name that answers
otherwise a moment later leads nowhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddressError(Exception):
    """The name leads to an address that is not called."""


def is_public(address: _Address) -> bool:
    """False for loopback, private, link-local, multicast, unspecified and reserved addresses, also inside IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        carried = (address.sixtofour, *(address.teredo or ()))
        if address.is_site_local or not all(is_public(each) for each in carried if each is not None):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


async def allowed_addresses(host: str, port: int, *, private: bool) -> tuple[str, ...]:
    """The addresses of a host, to connect to these. `private`: any address may be called.

    Raises ForbiddenAddressError when one of them may not be called, and OSError or UnicodeError when the name is none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
    # a zone ("%eth0") stands in link-local addresses only, and these are forbidden with or without it
    if not private and not all(is_public(ipaddress.ip_address(each.partition("%")[0])) for each in addresses):
        raise ForbiddenAddressError
    return addresses


async def allowed_address(url: str, *, private: bool) -> bool:
    """True when a URL leads, now, to addresses that may be called. Raises OSError for a name that is none."""
    parts = urlsplit(url)
    try:
        await allowed_addresses(parts.hostname or "", parts.port or 443, private=private)
    except ForbiddenAddressError:
        return False
    return True
