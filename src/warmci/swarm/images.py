"""Images of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
import urllib3
from docker import auth
from docker.errors import APIError, DockerException, ImageNotFound, InvalidRepository, NotFound
from docker.utils import parse_repository_tag

from warmci.base.errors import InfraError
from warmci.swarm.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_CHUNK = 1 << 20


class PullRefusedError(InfraError):
    """A pull that did not end well: the engine's or the registry's words, and the HTTP status of the engine."""

    def __init__(self, reference: str, words: str, status: int = 0) -> None:
        super().__init__(f"pull of {reference}: {words}", hint="warmci doctor")
        self.words = words
        self.status = status


class Images(Connection):
    """What the engine has of images, and how it comes by them."""

    def has_image(self, tag: str) -> bool:
        with self._asking(f"image {tag}"):
            try:
                self._client.images.get(tag)
            except ImageNotFound:
                return False
            except APIError as error:
                if "invalid reference format" not in str(error.explanation):
                    raise
                return False  # what is no name at all names nothing here
            return True

    def images(self) -> list[dict[str, Any]]:
        with self._asking("images"):
            return list(self._api.images())

    def remove_image(self, image: str) -> None:
        """Never by force: an image that anything uses, or that has further names, stays and is an InfraError."""
        with self._asking(f"image {image}"):
            try:
                self._api.remove_image(image, force=False)
            except ImageNotFound:
                return

    def import_image(self, tar: Path, tag: str, changes: Sequence[str]) -> None:
        repository, _, version = tag.rpartition(":")
        with self._asking(f"import of {tag}"), tar.open("rb") as file:
            # The SDK announces chunks, so chunks it must be: requests sends a file object in one piece.
            chunks = iter(lambda: file.read(_CHUNK), b"")
            self._api.import_image(chunks, repository=repository, tag=version, changes=list(changes))

    def pull_image(self, reference: str, tag: str) -> None:
        with self._asking(f"pull of {reference}"):
            image = self._client.images.pull(reference)
            repository, _, version = tag.rpartition(":")
            image.tag(repository, version)

    def pull(self, reference: str, on_line: Callable[[dict[str, Any]], None]) -> None:
        """Pull as `docker pull` does, with the login of whoever runs us; on_line hears the engine's progress.

        Raises PullRefusedError. There is no deadline: the caller's thread ends with the process at the latest.
        """
        try:
            for line in self._api.pull(reference, stream=True, decode=True):
                if said := line.get("error"):
                    raise PullRefusedError(reference, str(said))
                on_line(line)
        except InvalidRepository as error:
            raise PullRefusedError(reference, f"invalid reference format: {error}", 400) from error
        except APIError as error:
            raise PullRefusedError(reference, str(error.explanation or error), error.status_code or 0) from error
        except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise PullRefusedError(reference, str(error)) from error

    def registry_of(self, reference: str) -> str:
        """The registry that a reference names, docker.io where it names none."""
        try:
            return str(auth.resolve_repository_name(parse_repository_tag(reference)[0])[0])
        except InvalidRepository:
            return "docker.io"

    def has_login(self, registry: str) -> bool:
        """Whether `docker login` has been used for it by the user who runs us ($DOCKER_CONFIG, ~/.docker)."""
        with self._asking(f"login at {registry}"):
            return bool(auth.get_config_header(self._api, registry))

    def image_digest(self, image: str) -> str:
        """The id of the image that a reference names here, or the reference where it is absent."""
        with self._asking(f"image {image}"):
            try:
                return str(self._api.inspect_image(image)["Id"])
            except NotFound:
                return image
