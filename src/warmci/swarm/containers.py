"""Looking into running services: exec, logs, exit codes, the stream of events."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.swarm.objects import Objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_logger = logging.getLogger(__name__)


class Containers(Objects):
    """The containers of services."""

    def inspect_container(self, container: str) -> dict[str, Any] | None:
        with self._asking(f"container {container[:12]}"):
            try:
                return dict(self._api.inspect_container(container))
            except NotFound:
                return None

    def service_containers(self, stack: str, service: str, *, running: bool = True) -> list[dict[str, Any]]:
        return self.containers([f"com.docker.swarm.service.name={stack}_{service}"], running=running)

    def exec_in_service(self, stack: str, service: str, argv: Sequence[str]) -> tuple[int, str]:
        """Run argv in the service's newest running container: (exit code, output)."""
        found = sorted(self.service_containers(stack, service), key=lambda item: int(item["Created"]))
        if not found:
            raise RecipeFailedError(f"service {service} of {stack} has no running container to exec in")
        with self._asking(f"exec in {stack}_{service}"):
            run = self._api.exec_create(found[-1]["Id"], list(argv))
            output = self._api.exec_start(run["Id"])
            return int(self._api.exec_inspect(run["Id"])["ExitCode"]), output.decode(errors="replace")

    def container_logs(self, container: str, tail: int) -> str:
        try:
            with self._asking(f"logs of {container[:12]}"):
                return str(self._api.logs(container, tail=tail).decode(errors="replace"))
        except (NotFound, InfraError):
            return ""

    def service_logs(self, stack: str, service: str, tail: int) -> str:
        found = sorted(self.service_containers(stack, service, running=False), key=lambda item: int(item["Created"]))
        return "\n".join(self.container_logs(item["Id"], tail) for item in found[-2:])

    @contextmanager
    def events(self, on_event: Callable[[], None]) -> Iterator[None]:
        """Call on_event for each engine event of services and containers while the block runs."""
        stream = self._api.events(decode=False, filters={"type": ["container", "service"]})

        def pump() -> None:
            try:
                for _ in stream:
                    on_event()
            except Exception as error:  # noqa: BLE001  (the stream is closed under the reader; polling goes on)
                _logger.debug("event stream ended: %s", error)

        thread = threading.Thread(target=pump, daemon=True, name="engine-events")
        thread.start()
        try:
            yield
        finally:
            stream.close()

    @contextmanager
    def exit_codes(self, labels: Sequence[str]) -> Iterator[dict[str, int]]:
        """Exit code by id of each container that ends within the block; heard live, the engine forgets in seconds."""
        codes: dict[str, int] = {}
        filters = {"type": "container", "event": "die", "label": list(labels)}
        with self._asking("events"):
            stream = self._api.events(decode=True, filters=filters)

        def pump() -> None:
            with suppress(Exception):  # the stream is closed under the reader; what it did not hear counts as killed
                for event in stream:
                    codes[event["Actor"]["ID"]] = int(event["Actor"]["Attributes"].get("exitCode", -1))

        threading.Thread(target=pump, daemon=True, name="engine-exits").start()
        try:
            yield codes
        finally:
            stream.close()
