"""HTTP clients, all bounded: one that finds WarmCI's own names at this host's ingress, and one for the outside."""

from __future__ import annotations

import ipaddress
import urllib.request
from typing import TYPE_CHECKING

import httpcore
import httpx

from warmci.base import bounded, trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from http.cookiejar import Cookie

CONNECT_TIMEOUT_S = 5.0
TOTAL_S = 120.0
MOST_BYTES = 64 * 2**20


class _MappedBackend(httpcore.NetworkBackend):
    """Connects to `address` for our names. URLs stay as they are, so cookies and issuers belong to the right host."""

    def __init__(self, base_domain: str, address: str) -> None:
        self._base_domain = base_domain
        self._address = address
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        target = self._address if is_mapped(host, self._base_domain) else host
        return self._real.connect_tcp(target, port, timeout, local_address, socket_options)


class _MappedTransport(httpx.HTTPTransport):
    """httpx offers no parameter for the network backend; its pool is what carries one."""

    def __init__(self, base_domain: str, address: str, ca: str, bounds: bounded.Bounds) -> None:
        # Proxies are not for these names, but an operator's CA (SSL_CERT_FILE) is.
        context = trust.client_context(ca)
        super().__init__(verify=context, trust_env=False)
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            keepalive_expiry=5.0,
            network_backend=bounded.Backend(_MappedBackend(base_domain, address), bounds),
        )
        self._bounds = bounds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return bounded.response(super().handle_request(request), self._bounds)


class _OutsideTransport(httpx.HTTPTransport):
    """As httpx makes it, by the environment's proxy where that has one for this host, with our bounds below it."""

    def __init__(self, host: httpx.URL, bounds: bounded.Bounds) -> None:
        proxies = {} if urllib.request.proxy_bypass(host.host) else urllib.request.getproxies()
        super().__init__(proxy=proxies.get(host.scheme) or proxies.get("all"))
        pool = self._pool
        pool._network_backend = bounded.Backend(pool._network_backend, bounds)  # noqa: SLF001  (a proxy's has no other way)
        self._bounds = bounds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return bounded.response(super().handle_request(request), self._bounds)


def outside(url: str, *, total_s: float, most_bytes: int, headers: Mapping[str, str] | None = None) -> bounded.Client:
    """A client for what lies at url, as the operator named it: a forge, a webhook. It follows no redirect.

    total_s is for a whole request, most_bytes for its answer. Raises httpx.InvalidURL.
    """
    bounds, host = bounded.Bounds(total_s, most_bytes), httpx.URL(url)
    transport = _OutsideTransport(host, bounds)
    return bounded.Client(bounds, base_url=host, headers=headers, transport=transport, timeout=total_s)


def is_mapped(host: str, base_domain: str) -> bool:
    """Whether host is base_domain, lies under it, or is a *.localhost name (RFC 6761)."""
    name = host.lower().rstrip(".")
    return name == base_domain or name.endswith((f".{base_domain}", ".localhost"))


def client(
    *,
    base_domain: str,
    address: str,
    base_url: str = "",
    timeout_s: float = 30,
    follow_redirects: bool = False,
    ca: str = "",
    total_s: float = TOTAL_S,
    most_bytes: int = MOST_BYTES,
) -> bounded.Client:
    """A client that connects to `address` for names at or under base_domain; proxies of the environment are ignored.

    timeout_s is for each step, total_s for a request with its redirects and its whole answer, most_bytes for that
    answer as sent and for each body unpacked: it comes from an app that nobody trusts.
    ca: PEM of the CA that is trusted beside the usual ones (base/authority.py).

    Keycloak marks its cookies Secure also over plain http. Browsers send them back to localhost all the same
    (https://w3c.github.io/webappsec-secure-contexts/#localhost), Python's cookie jar does not: our names are
    treated as browsers treat localhost.
    """

    def send_back_secure_cookies(response: httpx.Response) -> None:
        if response.request.url.scheme != "http":
            return
        for cookie in made.cookies.jar:
            if _is_trustworthy(cookie, base_domain):
                cookie.secure = False

    bounds = bounded.Bounds(total_s, most_bytes)
    made = bounded.Client(
        bounds,
        base_url=base_url,
        transport=_MappedTransport(base_domain, address, ca, bounds),
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        follow_redirects=follow_redirects,
        trust_env=False,
        event_hooks={"response": [send_back_secure_cookies]},
    )
    return made


def _is_trustworthy(cookie: Cookie, base_domain: str) -> bool:
    # The jar files a host without dots under <host>.local.
    host = cookie.domain.lstrip(".").removesuffix(".local")
    if host == "localhost" or is_mapped(host, base_domain) or is_mapped(cookie.domain.lstrip("."), base_domain):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
