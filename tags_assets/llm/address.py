"""Which addresses of model servers are accepted, and what an address may be shown as."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from tags_assets.errors import InvalidInputError

_KEY_ELSEWHERE = "Put the key in the environment variable OPENAI_API_KEY and leave it out of the address."


def checked_address(url: str, where: str) -> str:
    """Return the address of a model server, without surrounding spaces, if it is safe to store and show.

    An address is stored in settings, written to logs and shown in reports, so it must not hold a secret.

    Parameters
    ----------
    url
        Address, as ``http://127.0.0.1:8000/v1``.
    where
        Setting, option or variable that the address comes from; named in the error.

    Raises
    ------
    UserError
        If it is not an http or https address, or if it holds a user name, a password, a query or a fragment.
        The message never repeats the address.
    """
    stripped = url.strip()
    parts = _split(stripped)
    if parts is None:
        raise InvalidInputError(
            "the model server's address is not a URL",
            where=where,
            fix="Write it as http://127.0.0.1:8000/v1.",
        )
    if "@" in parts.netloc:
        raise InvalidInputError(
            "the model server's address contains a user name or password", where=where, fix=_KEY_ELSEWHERE
        )
    if parts.query or parts.fragment or stripped.endswith(("?", "#")):
        raise InvalidInputError(
            "the model server's address contains a query or fragment", where=where, fix=_KEY_ELSEWHERE
        )
    return stripped


def _split(url: str) -> SplitResult | None:
    """Split an address; None if it is malformed or if two readers could disagree about its host."""
    if not url.isprintable() or any(c.isspace() or c in '\\<>"^`{|}' for c in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return None
    return parts


def public_address(url: str) -> str:
    """Strip what may be secret from an address: user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    try:
        place = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        place = host
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def is_local(url: str) -> bool:
    """Return whether the server is on this machine or a private network, where no key is expected."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    address = _ip(host)
    if address is None:
        return "." not in host
    return address.is_loopback or address.is_private


def is_loopback(url: str) -> bool:
    """Return whether the server is on this machine; no name is looked up."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _ip(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))  # 127.1 and 2130706433 are 127.0.0.1 as well
        except (OSError, UnicodeError):
            return None
    return getattr(address, "ipv4_mapped", None) or address
