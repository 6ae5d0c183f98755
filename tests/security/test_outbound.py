from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import pytest

from gtgateway.security.outbound import ForbiddenAddressError, allowed_address, allowed_addresses, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.2.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
    ],
)
def test_addresses_that_are_not_called(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "185.20.204.1", "2a00:1450:400f:80d::200e", "::ffff:8.8.8.8"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(_: object, port: int, *__: object, **___: object) -> Any:
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (kinds[ipaddress.ip_address(each.split("%")[0]).version], socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def checked(private: bool) -> tuple[str, ...]:
    return asyncio.run(allowed_addresses("eksempel.dk", 443, private=private))


def test_one_forbidden_address_forbids_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "8.8.8.8", "2a00:1450:400f:80d::200e", "8.8.8.8")
    assert checked(private=False) == ("8.8.8.8", "2a00:1450:400f:80d::200e")
    for forbidden in ("10.0.0.1", "::1", "fe80::1%eth0"):
        resolving(monkeypatch, "8.8.8.8", forbidden)
        with pytest.raises(ForbiddenAddressError):
            checked(private=False)
        assert checked(private=True) == ("8.8.8.8", forbidden)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://127.0.0.1/", False),
        ("http://[::1]:8080/", False),
        ("https://[::ffff:169.254.169.254]/", False),
        ("https://2130706433/", False),  # 127.0.0.1 as one number
        ("https://0x7f.1/", False),
        ("https://8.8.8.8/hook", True),
        ("https://[2a00:1450:400f:80d::200e]/hook", True),
    ],
)
def test_addresses_in_urls(url: str, allowed: bool) -> None:
    assert asyncio.run(allowed_address(url, private=False)) is allowed
    assert asyncio.run(allowed_address(url, private=True))
