"""Traefik's own view of its routes, by its API (https://doc.traefik.io/traefik/operations/api/)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from warmci.base import authority, http
from warmci.base.errors import InfraError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from warmci.base.settings import Settings
    from warmci.live.ingress_json import IngressRecord

_TIMEOUT_S = 10.0
_PAGE = 1000


@dataclass(frozen=True)
class TraefikApi:
    settings: Settings
    url: str
    user: str
    password: SecretStr

    @classmethod
    def of(cls, settings: Settings, record: IngressRecord) -> TraefikApi:
        return cls(settings, record.url, "warmci", record.password)

    def version(self) -> str:
        """Raises InfraError, saying what answered instead, when the API cannot be asked."""
        return str(self._get("/api/version").get("Version", ""))

    def faults(self, stack: str) -> list[str]:
        """What Traefik says is wrong with the routers and services that the stack's labels declare."""
        return [
            f"{kind} {item['name']}: {'; '.join(_texts(item.get('error')))}"
            for kind, path in (("router", "/api/http/routers"), ("service", "/api/http/services"))
            for item in self._list(path)
            if _is_of(item, stack) and item.get("error")
        ]

    def routers(self, stack: str) -> list[str]:
        """Each router of the stack, as Traefik understood it: entry points, rule, service, its state."""
        return [
            f"router {item['name']} on {'/'.join(_texts(item.get('using') or item.get('entryPoints')))}: "
            f"{item.get('rule', '')} → {item.get('service', '')} ({item.get('status', '')})"
            for item in self._list("/api/http/routers")
            if _is_of(item, stack)
        ]

    def servers(self, stack: str) -> set[str]:
        """URLs that Traefik balances over for the stack's services."""
        found: set[str] = set()
        for item in self._list("/api/http/services"):
            if _is_of(item, stack):
                balancer = item.get("loadBalancer") or {}
                found |= {str(server.get("url", "")) for server in balancer.get("servers") or []}
        return found

    def _list(self, path: str) -> list[dict[str, Any]]:
        answer = self._get(f"{path}?per_page={_PAGE}")
        return [item for item in answer if isinstance(item, dict) and "name" in item]

    def _get(self, path: str) -> Any:
        settings = self.settings
        try:
            with http.client(
                base_domain=settings.base_domain,
                address=settings.ingress_address,
                base_url=self.url,
                timeout_s=_TIMEOUT_S,
                ca=authority.authority(settings),
            ) as client:
                answer = client.get(path, auth=(self.user, self.password.get_secret_value()))
        except httpx.HTTPError as error:
            raise InfraError(f"{self.url} does not answer: {error}") from error
        try:
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPStatusError, ValueError):
            said = " ".join(answer.text.split())[:100]
            raise InfraError(f"{self.url}{path} answers HTTP {answer.status_code}: {said}") from None


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)] if value else []


def _is_of(item: dict[str, Any], stack: str) -> bool:
    """Recipes call theirs ${STACK_NAME} or begin with it; what is named otherwise is told apart by nothing."""
    return str(item["name"]).partition("@")[0].startswith(stack)
