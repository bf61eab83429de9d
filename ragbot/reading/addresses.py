"""Which network addresses may be fetched from: public ones only, whatever a name, a number or a redirect says (SAFETY 16)."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[Address]]
# Beside what ``is_global`` knows: networks that lead on to other addresses, which may be private; then what Python 3.11 takes for
# public: the rest of 192.0.0.0/24 and Azure's 168.63.129.16, where clouds answer their own machines, and addresses for documentation.
_LEADING_ON = tuple(
    ipaddress.ip_network(one)
    for one in (
        *("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "192.88.99.0/24", "100.64.0.0/10", "fec0::/10"),
        *("192.0.0.0/24", "168.63.129.16/32", "3fff::/20"),
    )
)


class ForbiddenError(httpcore.ConnectError):
    """A connection that is not made, and why."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet: not private, loopback, link-local, shared, reserved, multicast or a way to such."""
    if any(address in network for network in _LEADING_ON if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback or address.is_link_local)


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name; a number in any spelling (decimal, hex, octal, short) is the address it stands for.

    Raises:
        ForbiddenError: the name has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ForbiddenError(f"the name {host!r} has no address") from error
    return list(dict.fromkeys(ipaddress.ip_address(str(one[4][0]).split("%")[0]) for one in found))


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only.

    The name is resolved once, every address it has must be allowed, and the connection goes to a checked address itself, so that a
    second, different answer of the name server changes nothing. The certificate is still checked against the name.
    """

    def __init__(self, resolver: Resolver, allows: Callable[[Address], bool], ports: Iterable[int], deadline: float) -> None:
        self._resolver = resolver
        self._allows = allows
        self._ports = frozenset(ports)
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None
    ) -> httpcore.NetworkStream:
        """A connection to one of the name's addresses.

        Raises:
            ForbiddenError: the port or one of the addresses is not allowed; nothing was connected to.
        """
        if port not in self._ports:
            raise ForbiddenError(f"port {port} is not allowed")
        addresses = self._resolver(host, port)
        if not addresses:
            raise ForbiddenError(f"the name {host!r} has no address")
        for address in addresses:
            if not self._allows(address):
                raise ForbiddenError(f"{host!r} leads to {address}, which is no address of the public internet")
        problem: Exception | None = None
        for address in addresses[:3]:
            try:
                return _Hurried(self._inner.connect_tcp(str(address), port, _left(self._deadline, timeout), local_address, socket_options), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem or ForbiddenError("no address could be reached")

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> httpcore.NetworkStream:
        """Never."""
        raise ForbiddenError("sockets of this machine are not fetched from")

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)


class _Hurried(httpcore.NetworkStream):
    """A stream whose reads and writes all end at one deadline, however slowly the other side lets its bytes drip."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Hurried(self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline, timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return left if timeout is None else min(left, timeout)
