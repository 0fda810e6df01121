"""Where the name of a server leads: every address is judged before anything is sent."""

from __future__ import annotations

from contextlib import suppress
from socket import SOCK_STREAM, gaierror, getaddrinfo

from engine.trust.hosts import NEVER_BY_NAME, Address, AddressKind, is_ip, kind_of


class UnsafeAddressError(Exception):
    """A name leads where no name may lead."""


class UnresolvedError(Exception):
    """A name has no address."""


def places_of(address: Address) -> tuple[str, ...]:
    """Return the IP addresses of a server. UnsafeAddressError for a name that leads where none may, UnresolvedError."""
    if is_ip(address.host):
        return (address.host,)
    try:
        listed = getaddrinfo(address.host, address.port, type=SOCK_STREAM)
    except (gaierror, UnicodeError) as error:
        raise UnresolvedError(f"the name cannot be resolved: {error}") from None
    found = tuple(dict.fromkeys(str(one[4][0]) for one in listed))
    for place in found:
        kind = kind_of(place)
        if kind in NEVER_BY_NAME or (address.is_loopback and kind is not AddressKind.LOOPBACK):
            raise UnsafeAddressError(f"`{address.host}` leads to {place}, {kind.value}")
    return found


def has_proxy(address: Address) -> bool:
    """Return whether the user's environment sends such requests through a proxy."""
    # A proxy would take `localhost` for itself, and rows would leave this machine.
    if address.is_loopback:
        return False
    from urllib.request import getproxies, proxy_bypass  # brings http and email

    proxies = getproxies()
    with suppress(OSError):
        if proxy_bypass(address.host):
            return False
    return bool(proxies.get(address.scheme) or proxies.get("all"))
