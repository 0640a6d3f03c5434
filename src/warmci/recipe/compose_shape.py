"""The shape of a compose file, as far as WarmCI touches it: checked once, so that nothing later meets a surprise."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from warmci.base.errors import RecipeFailedError

Scalar = str | int | float | bool
Labels = dict[str, Any] | list[Any]


class _Shape(BaseModel):
    """What is not named here is swarm's to judge."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Update(_Shape):
    monitor: Scalar | None = None


class _Restart(_Shape):
    condition: str | None = None
    delay: Scalar | None = None
    max_attempts: int | None = None


class _Deploy(_Shape):
    labels: Labels | None = None
    update_config: _Update | None = None
    restart_policy: _Restart | None = None


class _Healthcheck(_Shape):
    test: str | list[Any] | None = None
    interval: Scalar | None = None
    retries: int | None = None
    disable: bool | None = None


class _Service(_Shape):
    image: str | None = None
    environment: dict[str, Any] | list[Any] | None = None
    env_file: str | list[str] | None = None
    labels: Labels | None = None
    networks: dict[str, Any] | list[str] | None = None
    extra_hosts: dict[str, str] | list[str] | None = None
    ports: list[Any] | None = None
    volumes: list[Any] | None = None
    secrets: list[Any] | None = None
    configs: list[Any] | None = None
    deploy: _Deploy | None = None
    healthcheck: _Healthcheck | None = None


class _Volume(_Shape):
    name: str | None = None
    driver: str | None = None
    driver_opts: dict[str, Any] | None = None
    labels: Labels | None = None


class _Network(_Volume):
    external: bool | dict[str, Any] | None = None


class _File(_Shape):
    name: str | None = None
    file: str | None = None
    labels: Labels | None = None


class _Document(_Shape):
    services: dict[str, _Service] | None = None
    volumes: dict[str, _Volume | None] | None = None
    networks: dict[str, _Network | None] | None = None
    secrets: dict[str, _File | None] | None = None
    configs: dict[str, _File | None] | None = None


def check_shape(document: dict[str, Any], name: str) -> None:
    """Raise RecipeFailedError that says which value of the file has the wrong form."""
    try:
        _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("dict[", "list[", "_")))
        raise RecipeFailedError(f"{name}: {place}: {first['msg']}", hint="see the compose file reference") from None
