"""Only the public internet is connected to: every other address, in every spelling and wrapping, is refused before a connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragbot.errors import SourceError
from ragbot.reading.addresses import Address, ForbiddenError, GuardedBackend, is_public, resolve
from ragbot.reading.fetching import Fetcher

REFUSED = """
    0.0.0.0 0.1.2.3 127.0.0.1 127.0.0.2 127.255.255.254 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255
    169.254.0.1 169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 100.127.255.255 168.63.129.16
    192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.192 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 198.19.255.255 192.88.99.1
    224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.254 255.255.255.255
    :: ::1 ::2 ::127.0.0.1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:1.1.1.1 ::ffff:0:127.0.0.1
    64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::7f00:1 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 2002:7f00:1:: 2002:a00:1::1 2002:c0a8:101::1 2002:101:101::
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 3fff:fff:ffff::1 100::1 5f00::1
    fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff02::1 ff0e::1 4000::1 8000::1 e000::1 1fff::1
""".split()
PUBLIC = """
    1.1.1.1 8.8.8.8 93.184.216.34 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.0
    172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 223.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001::5 2003::1
""".split()
# Of the special-purpose registries of IANA, what is not reachable from everywhere.
SPECIAL = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15
    198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16
    3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
""".split()
HERE = ip_address("127.0.0.1")
NUMBERS = """
    127.0.0.1 localhost 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.1 127.0.1 127。0。0。1 0.0.0.0 0 [::1] [::] [0:0:0:0:0:0:0:1]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2001:0:1::1] [fe80::1] [fec0::1] [fd00:ec2::254]
    10.0.0.1 172.16.0.1 192.168.1.1 3232235777 100.64.0.1 100.100.100.200 169.254.169.254 2852039166 0xa9fea9fe 192.0.0.192 192.88.99.1 224.0.0.1
    255.255.255.255 [ff02::1]
""".split()
MALFORMED = [
    "file:///etc/passwd", "file://site.test/etc/passwd", "ftp://1.1.1.1/a", "gopher://127.0.0.1:6379/_INFO", "data:text/html,<p>Words</p>",
    "javascript:alert(1)", "dict://127.0.0.1:11211/", "ws://1.1.1.1/", "unix:/run/docker.sock", "http+unix://run/docker.sock/",
    "http://user:password@1.1.1.1/", "http://user@1.1.1.1/", "http://@1.1.1.1/", "http://:@1.1.1.1/", "https://1.1.1.1@127.0.0.1/",
    "http://1.1.1.1:8080/", "http://1.1.1.1:22/", "http://1.1.1.1:0/", "http://1.1.1.1:65536/", "http://1.1.1.1:-80/", "http://1.1.1.1:http/",
    "", "/", "127.0.0.1", "//127.0.0.1/", "http:", "http://", "http:///path", "http:127.0.0.1", "http://?a", "https://:443/", "http://[", "http://[1.1.1.1]/",
    " http://1.1.1.1/", "http://1.1.1.1/ ", "http://1.1.1.1/a b", "http://1.1.1.1/\t", "ht\ntp://1.1.1.1/", "http://1.1.1.1\\@127.0.0.1/",
    "http:\\\\1.1.1.1\\", "http://1.1.1.1/\x00", "http://1.1.1.1/\x1b[0m", "http://1.1.1.1/\x7f", "http://1.1.1.1\r\nX: y/", "http://1.1.1.1/\u2028a",
]  # fmt: skip
# Taken before the tests' own guard against lookups takes its place.
LOOKUP = socket.getaddrinfo


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_let_through_up_to_the_borders_of_what_is_refused(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.sampled_from(SPECIAL).flatmap(lambda network: st.ip_addresses(network=ip_network(network))))
def test_no_address_of_a_special_network_is_public(address: Address) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_whatever_is_let_through_is_ordinary(address: Address) -> None:
    odd = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast or address.is_reserved or address.is_unspecified
    assert not (is_public(address) and odd)
    # The rest of IPv6 is not given out to anybody yet.
    assert address.version == 4 or not is_public(address) or address in ip_network("2000::/3")


@given(st.ip_addresses(v=4))
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("1.1.1.1"))
def test_no_wrapping_of_an_ipv4_address_is_let_through(inner: IPv4Address) -> None:
    number = int(inner)
    wrapped = {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "translated": 0xFFFF << 48 | number,
        "NAT64": 0x64FF9B << 96 | number,
        "local NAT64": 0x64FF9B0001 << 80 | number,
        "6to4": 0x2002 << 112 | number << 80,
        "Teredo server": 0x20010000 << 96 | number << 64,
        "Teredo client": 0x20010000 << 96 | number ^ 0xFFFFFFFF,
    }
    assert [name for name, value in wrapped.items() if is_public(IPv6Address(value))] == []


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lets the system read numbers as it does outside the tests, but look up no other name than localhost; what it was asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, **options: Any) -> Any:
        asked.append(host)
        return LOOKUP(host, port, flags=0 if host == "localhost" else socket.AI_NUMERICHOST, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.usefixtures("looked_up")
@pytest.mark.parametrize("spelling", ["127.0.0.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1"])
def test_a_number_is_the_address_that_the_system_would_connect_to(spelling: str) -> None:
    assert resolve(spelling, 80) == [HERE]


@pytest.mark.usefixtures("looked_up")
@pytest.mark.parametrize("name", ["no-such-name.test", "a" * 64 + ".test", "a..b", "1.2.3.4.5", ""])
def test_a_name_without_an_address_is_a_clear_error(name: str) -> None:
    with pytest.raises(ForbiddenError, match="has no address"):
        resolve(name, 80)


def test_an_address_comes_once_and_without_the_interface_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 80, 0, 2)), (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: answers * 2)
    assert resolve("site.test", 80) == [ip_address("fe80::1"), ip_address("1.1.1.1")]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def backend(*answer: str, port: int, seconds: float = 5) -> GuardedBackend:
    return GuardedBackend(lambda host, port: [ip_address(one) for one in answer], lambda address: address.is_loopback, {port}, time.monotonic() + seconds)


def is_untouched(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (["10.0.0.1"], "leads to 10.0.0.1"),
        (["127.0.0.1", "10.0.0.1"], "leads to 10.0.0.1"),
        (["10.0.0.1", "127.0.0.1"], "leads to 10.0.0.1"),
        (["127.0.0.1"] * 9 + ["fd00::1"], "leads to fd00::1"),
        ([], "has no address"),
    ],
)
def test_one_forbidden_address_among_the_answers_is_enough_to_connect_to_none(listener: socket.socket, answer: list[str], message: str) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(ForbiddenError, match=message):
        backend(*answer, port=port).connect_tcp("site.test", port)
    assert is_untouched(listener)


def test_another_port_is_refused_before_the_name_is_even_looked_up(listener: socket.socket) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [HERE]

    guarded = GuardedBackend(look_up, lambda address: True, {80, 443}, time.monotonic() + 5)
    with pytest.raises(ForbiddenError, match="port"):
        guarded.connect_tcp("site.test", listener.getsockname()[1])
    assert asked == []
    assert is_untouched(listener)


def test_the_next_address_is_tried_where_one_does_not_answer(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    stream = backend("127.0.0.2", "127.0.0.1", port=port).connect_tcp("site.test", port, timeout=2)
    assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
    stream.close()
    with pytest.raises(httpcore.ConnectError):
        backend("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1", port=port).connect_tcp("site.test", port)


def test_a_socket_of_this_machine_is_never_connected_to(listener: socket.socket) -> None:
    with pytest.raises(ForbiddenError, match="sockets of this machine"):
        backend("127.0.0.1", port=80).connect_unix_socket("/run/any.sock")


def test_reading_ends_at_the_deadline_though_each_byte_comes_soon_enough(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    stream = backend("127.0.0.1", port=port, seconds=0.6).connect_tcp("site.test", port)
    started = time.monotonic()
    with listener.accept()[0] as served, pytest.raises(httpcore.ReadTimeout):
        while time.monotonic() < started + 5:
            served.sendall(b".")
            assert stream.read(100, timeout=1) == b"."
            time.sleep(0.05)
    assert time.monotonic() - started < 1.5
    with pytest.raises(httpcore.ReadTimeout, match="time is over"):
        stream.write(b"words", timeout=1)
    with pytest.raises(httpcore.ReadTimeout, match="time is over"):
        backend("127.0.0.1", port=port, seconds=-1).connect_tcp("site.test", port)
    assert is_untouched(listener)
    stream.close()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address a socket was told to connect to; it is not connected."""
    seen: list[Any] = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda self, *arguments: seen.append(arguments[-1]))
    return seen


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", NUMBERS)
def test_no_spelling_of_an_inner_address_is_ever_connected_to(scheme: str, host: str, looked_up: list[str], connected: list[Any]) -> None:
    with pytest.raises(SourceError, match=r"leads to .* no address of the public internet|Invalid IPv4 address: '0177.0.0.1'"):
        Fetcher().fetch(f"{scheme}://{host}/latest/meta-data/")
    assert connected == []


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_plain_address_of_a_page_is_refused_without_a_look_at_the_network(url: str, looked_up: list[str], connected: list[Any]) -> None:
    with pytest.raises(SourceError):
        Fetcher().fetch(url)
    assert looked_up == connected == []


@pytest.mark.usefixtures("looked_up")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]"])
def test_a_server_that_really_listens_hears_nothing(listener: socket.socket, host: str) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(SourceError, match="public internet"):
        Fetcher(ports={port}).fetch(f"http://{host}:{port}/")
    assert is_untouched(listener)
    with socket.socket() as client:
        client.connect(("127.0.0.1", port))
        assert not is_untouched(listener)
