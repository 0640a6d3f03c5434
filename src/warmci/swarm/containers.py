"""Looking into running services: exec, logs, exit codes, the stream of events."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound
from docker.utils.socket import frames_iter

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.swarm.objects import Objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_frames: Any = frames_iter  # untyped in the SDK
LOG_MAX = 256 * 2**10
"""Bytes that are kept of a log's end, of at most LOG_READ_MAX that are read within LOG_MAX_S seconds."""
LOG_READ_MAX = 4 * 2**20
LOG_MAX_S = 10.0
EXEC_MAX = 16 * 2**20
EXEC_MAX_S = 600.0
_CHANGES = ("create", "start", "health_status", "kill", "die", "oom", "destroy", "update", "remove")
_logger = logging.getLogger(__name__)


class Containers(Objects):
    """The containers of services."""

    def inspect_container(self, container: str) -> dict[str, Any] | None:
        with self._asking(f"container {container[:12]}"):
            try:
                return dict(self._api.inspect_container(container))
            except NotFound:
                return None

    def memory(self, container: str) -> int | None:
        """Bytes in use without the page cache, as `docker stats` counts them; None where the kernel does not say."""
        with self._asking(f"memory of {container[:12]}"):
            try:
                found = self._api.stats(container, stream=False, one_shot=True).get("memory_stats", {})
            except NotFound:
                return None
        if "usage" not in found:
            return None
        kinds = found.get("stats", {})
        return int(found["usage"]) - int(kinds.get("total_inactive_file", kinds.get("inactive_file", 0)))

    def service_containers(self, stack: str, service: str, *, running: bool = True) -> list[dict[str, Any]]:
        return self.containers([f"com.docker.swarm.service.name={stack}_{service}"], running=running)

    def exec_in_service(self, stack: str, service: str, argv: Sequence[str]) -> tuple[int, str]:
        """Run argv in the service's newest running container: (exit code, output)."""
        found = sorted(self.service_containers(stack, service), key=lambda item: int(item["Created"]))
        if not found:
            raise RecipeFailedError(f"service {service} of {stack} has no running container to exec in")
        with self._asking(f"exec in {stack}_{service}"):
            run = self._api.exec_create(found[-1]["Id"], list(argv))
            output = self._output(run["Id"], f"{argv[0]} in service {service}")
            return int(self._api.exec_inspect(run["Id"])["ExitCode"]), output.decode(errors="replace")

    def _output(self, run: str, what: str) -> bytes:
        """Of an exec, bounded: the SDK itself waits and gathers without an end."""
        said, stream = bytearray(), self._api.exec_start(run, socket=True)
        # The stream is a view of its socket: closing it alone would leave that one to the garbage collector.
        connection: socket.socket = stream._sock  # noqa: SLF001
        with connection, stream, _closed_after(EXEC_MAX_S, connection) as late:
            for _, piece in _frames(stream, tty=False):
                said += piece
                if len(said) > EXEC_MAX:
                    raise RecipeFailedError(f"{what} says more than {EXEC_MAX} bytes")
        if late.is_set():
            last = _text(said)[-300:]
            raise RecipeFailedError(f"{what} has no end after {EXEC_MAX_S:.0f} s; the last that it said: {last}")
        return bytes(said)

    def container_logs(self, container: str, tail: int) -> str:
        try:
            with self._asking(f"logs of {container[:12]}"):
                return self._logs(container, tail)
        except (NotFound, InfraError):
            return ""

    def _logs(self, container: str, tail: int) -> str:
        """The end of what is there now: a flood may come faster than it is read, and a line may have any length."""
        kept, seen = bytearray(), 0
        stream = self._api.logs(container, tail=tail, stream=True, follow=False)
        watch = threading.Timer(LOG_MAX_S, stream.close)
        watch.start()
        try:
            for piece in stream:
                seen += len(piece)
                kept += piece
                del kept[:-LOG_MAX]
                if seen > LOG_READ_MAX:
                    break
        finally:
            watch.cancel()
            stream.close()
        return _text(kept)

    def service_logs(self, stack: str, service: str, tail: int) -> str:
        found = sorted(self.service_containers(stack, service, running=False), key=lambda item: int(item["Created"]))
        return "\n".join(self.container_logs(item["Id"], tail) for item in found[-2:])

    @contextmanager
    def events(self, on_event: Callable[[], None]) -> Iterator[None]:
        """Call on_event when a service or a container has changed while the block runs.

        Not for what a health check does each time (exec_create, exec_start, exec_die): only for what it says.
        """
        stream = self._api.events(decode=False, filters={"type": ["container", "service"], "event": list(_CHANGES)})

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


def _text(said: bytearray) -> str:
    return said.decode(errors="replace")


@contextmanager
def _closed_after(seconds: float, connection: socket.socket) -> Iterator[threading.Event]:
    """End whoever reads from the connection in another thread when the time is over; the event says that it was."""
    late = threading.Event()

    def close() -> None:
        late.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(seconds, close)
    watch.start()
    try:
        yield late
    finally:
        watch.cancel()
