"""Addresses of servers, parsed in one way only, and keys removed from text before it is kept or shown."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import SOCK_STREAM, gaierror, getaddrinfo
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from engine.values import Value


class UnsafeAddressError(Exception):
    """A name leads where no name may lead."""


class UnresolvedError(Exception):
    pass


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
    # A proxy would take `localhost` for itself, and rows would leave this machine.
    if address.is_loopback:
        return False
    from urllib.request import getproxies, proxy_bypass  # brings http and email

    proxies = getproxies()
    with suppress(OSError):
        if proxy_bypass(address.host):
            return False
    return bool(proxies.get(address.scheme) or proxies.get("all"))


HOSTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ANTHROPIC_API_KEY": "api.anthropic.com",
        "CEREBRAS_API_KEY": "api.cerebras.ai",
        "DEEPINFRA_API_KEY": "api.deepinfra.com",
        "DEEPSEEK_API_KEY": "api.deepseek.com",
        "FIREWORKS_API_KEY": "api.fireworks.ai",
        "GEMINI_API_KEY": "generativelanguage.googleapis.com",
        "GROQ_API_KEY": "api.groq.com",
        "MISTRAL_API_KEY": "api.mistral.ai",
        "OPENAI_API_KEY": "api.openai.com",
        "OPENROUTER_API_KEY": "openrouter.ai",
        "PERPLEXITY_API_KEY": "api.perplexity.ai",
        "TOGETHER_API_KEY": "api.together.xyz",
        "XAI_API_KEY": "api.x.ai",
    }
)
"""Keys that need no word of the user's for their own host, at its usual port and over https."""

# The recipe names the variable, and its author may want what opens other doors: the cloud, the
# code, the packages. By prefix, since such programs have many variables.
_ELSEWHERE: Final = (
    *("ACTIONS_", "ARM_", "AWS_", "AZURE_", "BOTO_", "CI_", "CLOUDSDK_", "DOCKER_", "GCLOUD_"),
    *("GCP_", "GH_", "GIT_", "GITHUB_", "GITLAB_", "GNUPG", "GOOGLE_", "GPG_", "HF_", "HUGGING"),
    *("KUBE", "NPM_", "PG", "PIP_", "PYPI_", "SSH_", "SUDO_", "TWINE_", "UV_", "VAULT_", "WANDB_"),
)
_EXCEPTIONS: Final = frozenset({"AZURE_OPENAI_API_KEY"})
_OF_THE_SYSTEM: Final = frozenset(
    {"HOME", "PATH", "USER", "LOGNAME", "SHELL", "PWD", "HOSTNAME", "LANG", "TERM", "DATABASE_URL"}
)


def is_never_sent(variable: str) -> bool:
    name = variable.upper()
    return name not in _EXCEPTIONS and (name in _OF_THE_SYSTEM or name.startswith(_ELSEWHERE))


# No general parser of URLs: they differ over `@`, `\`, tabs and the like, and the host that was
# checked must be the one that is asked. What is not plain is refused.
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?"
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORTS: Final = {"http": 80, "https": 443}
_MOST_PORTS: Final = 65535
_MOST_LETTERS: Final = 253
_METADATA: Final = frozenset(
    {"169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"}
)
"""Addresses at which clouds give a machine its credentials."""
_NAT64: Final = 0x0064_FF9B << 64
"""The first 96 bits of 64:ff9b::/96, shifted down by 32."""


class AddressKind(StrEnum):
    LOOPBACK = "this machine itself"
    METADATA = "the cloud's metadata service"
    LINK_LOCAL = "a link-local address"
    UNUSABLE = "no address of a server"
    PRIVATE = "a private address"
    PUBLIC = "a public address"


NEVER_BY_NAME: Final = frozenset(
    {AddressKind.METADATA, AddressKind.LINK_LOCAL, AddressKind.UNUSABLE}
)
"""A name that leads there is refused, whatever was allowed: only the address itself can be allowed."""


class Address(Value):
    scheme: str
    host: str
    """Lower case, without brackets and without a dot at the end."""
    port: int

    @property
    def bare(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def name(self) -> str:
        """The name that people use: the host, and the port unless it is the usual one of https."""
        is_usual = self.scheme == "https" and self.port == _PORTS[self.scheme]
        return self.bare if is_usual else f"{self.bare}:{self.port}"

    @property
    def encrypted(self) -> str:
        """The https address: with the stated port, unless that is the one of http."""
        is_usual = self.port in (_PORTS[self.scheme], _PORTS["https"])
        return f"https://{self.bare}" if is_usual else f"https://{self.bare}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine itself, by its address or its reserved name."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        return is_ip(self.host) and kind_of(self.host) is AddressKind.LOOPBACK


def parse_address(url: str) -> Address:
    """Return where a base address such as `http://localhost:8000/v1` leads.

    Raises:
        ValueError: it is not written in the one way that every program reads alike; with what to write.

    """
    if not url.isascii():
        raise ValueError("write the host in ASCII: xn--…")
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError("write it as https://HOST:PORT/PATH, with nothing else in it")
    port = int(found["port"] or _PORTS[found["scheme"]])
    if not 0 < port <= _MOST_PORTS:
        raise ValueError(f"no port has the number {port}")
    return Address(scheme=found["scheme"], host=_host(found["host"].lower()), port=port)


def parse_host(text: str) -> str:
    """Return a host as a user allows it, `HOST` or `HOST:PORT`, in the form of `Address.name`. ValueError as above."""
    bare = text.removeprefix("https://").removeprefix("http://").removesuffix("/")
    if bare.count(":") > 1 and not bare.startswith("["):
        bare = f"[{bare}]"
    found = parse_address(f"https://{bare}")
    has_port = re.search(r":[0-9]+$", bare.rpartition("]")[2])
    return f"{found.bare}:{found.port}" if has_port else found.bare


def is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def kind_of(address: str) -> AddressKind:
    """Return what kind of place an IP address is; one that carries another inside is never better than that one."""
    # without its zone, as in `fe80::1%eth0`
    ip = ip_address(address.partition("%")[0])
    inner = _inner(ip)
    if inner is not None:
        kind = kind_of(str(inner))
        return AddressKind.PRIVATE if kind in (AddressKind.LOOPBACK, AddressKind.PUBLIC) else kind
    # the first one counts: addresses of metadata services are link-local or private as well
    checks = (
        (AddressKind.METADATA, str(ip) in _METADATA),
        (AddressKind.LOOPBACK, ip.is_loopback),
        (AddressKind.LINK_LOCAL, ip.is_link_local),
        (AddressKind.UNUSABLE, ip.is_unspecified or ip.is_multicast),
        (AddressKind.PRIVATE, ip.is_private or not ip.is_global),
    )
    return next((kind for kind, holds in checks if holds), AddressKind.PUBLIC)


def _inner(
    ip: IPv4Address | IPv6Address,
) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address carries: mapped, compatible, 6to4, Teredo or NAT64."""
    if ip.version == 4:  # IPv4
        return None
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour
    if ip.teredo:
        return ip.teredo[1]
    last = int(ip) & 0xFFFFFFFF
    is_compatible = int(ip) >> 32 == 0 and last > 1  # not :: and ::1
    return IPv4Address(last) if int(ip) >> 32 == _NAT64 or is_compatible else None


def _host(written: str) -> str:
    if written.startswith("["):
        return str(IPv6Address(written[1:-1]))
    host = written.removesuffix(".")
    labels = host.split(".")
    # resolvers take `2130706433` and `0x7f.1` for 127.0.0.1
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise ValueError("write an IPv4 address as four numbers: 192.0.2.1") from None
    if len(host) > _MOST_LETTERS or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("no host has such a name")
    return host


PLACEHOLDER: Final = "[key]"
_LEAST: Final = 8
"""Characters from which on a key is looked for in every form; a shorter one only as it is, between other signs."""
_DUMMIES: Final = frozenset(
    {
        *("", "empty", "none", "null", "dummy", "fake", "local", "test"),
        *("token", "key", "ollama", "vllm"),
    }
)
"""Placeholders that people write where a server wants some key: words that may well be answers."""
_NAMES: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)

_kept: set[str] = set()


def keep_secret(key: str) -> None:
    _kept.add(key)


def redacted(text: str, keys: Iterable[str] = ()) -> str:
    """Return a text without any of `keys`, or of those that were kept: plain, in another case, broken over lines,
    escaped for JSON, URLs or HTML, or as base64 or hexadecimal digits.
    """  # noqa: D205 - one sentence
    # the longest first: of a key that holds another one the rest would stay
    for pattern in map(_pattern, sorted({*_kept, *keys}, key=len, reverse=True)):
        if pattern is not None:
            text = pattern.sub(PLACEHOLDER, text)
    return text


def redacted_value(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [redacted_value(item) for item in value]
    if isinstance(value, Mapping):
        return {redacted(str(name)): redacted_value(item) for name, item in value.items()}
    return value


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables whose names say that they are secret; a switch such as `AUTH=1` is none."""
    return tuple(
        value for name, value in environment.items() if len(value) >= _LEAST and _NAMES.search(name)
    )


@lru_cache(maxsize=256)
def _pattern(key: str) -> re.Pattern[str] | None:
    if key.casefold() in _DUMMIES:
        return None
    if len(key) < _LEAST:
        return re.compile(rf"(?<!\w){re.escape(key)}(?!\w)")
    exact = "|".join(re.escape(form) for form in sorted(_encoded(key), key=len, reverse=True))
    spelled = r"(?:\\?\s|\\[nrt])*".join(_letter(letter) for letter in key)
    return re.compile(f"{exact}|(?i:{spelled})")


def _letter(letter: str) -> str:
    code = ord(letter)
    forms = {re.escape(letter), rf"\\{re.escape(letter)}", rf"\\u{code:04x}", rf"&#0*{code};"}
    forms |= {rf"&#x0*{code:x};", *(re.escape(form) for form in (quote(letter, safe=""),))}
    forms |= {f"%{code:02x}"} if code < 128 else set()  # ASCII
    forms |= {re.escape(json.dumps(letter)[1:-1]), re.escape(html.escape(letter))}
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _encoded(key: str) -> set[str]:
    """Return the key as digits of base 64 and 16; of base 64, what does not hang on its neighbours."""
    content = key.encode()
    found = {content.hex(), content.hex().upper(), key[::-1]}
    # base64 takes three bytes at a time, so the digits of a key depend on where it begins
    for before in range(3):
        whole = base64.b64encode(bytes(before) + content).decode().rstrip("=")
        start = (0, 2, 3)[before]
        end = len(whole) - (0 if (before + len(content)) % 3 == 0 else 1)
        inner = whole[start:end]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
