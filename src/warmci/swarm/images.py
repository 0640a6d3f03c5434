"""Images of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docker.errors import ImageNotFound, NotFound

from warmci.swarm.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CHUNK = 1 << 20


class Images(Connection):
    """What the engine has of images, and how it comes by them."""

    def has_image(self, tag: str) -> bool:
        with self._asking(f"image {tag}"):
            try:
                self._client.images.get(tag)
            except ImageNotFound:
                return False
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

    def image_digest(self, image: str) -> str:
        """The id of the image that a reference names here, or the reference where it is absent."""
        with self._asking(f"image {image}"):
            try:
                return str(self._api.inspect_image(image)["Id"])
            except NotFound:
                return image
