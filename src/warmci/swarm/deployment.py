"""The swarm driver: secrets, volumes, `docker stack deploy`, convergence; the end of it is undeploy.py's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUNS, NAMESPACE_LABEL, RUN_LABEL
from warmci.base.process import CommandError
from warmci.recipe import compose_text
from warmci.recipe.secret import generate_secret
from warmci.recipe.trust_gate import real_name
from warmci.swarm import addresses, by_zero, convergence, held_subnets, subnets
from warmci.swarm.judge import CHECKED_S
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from warmci.base.errors import WarmciError
    from warmci.recipe.render import Placement, Rendered
    from warmci.swarm.engine import Engine
    from warmci.swarm.service_state import ServiceState

_LABEL_NOISE = "only updates to Labels are allowed"


@dataclass
class Deployment:
    """One app in the swarm, from its first deploy to its end."""

    engine: Engine
    placement: Placement
    work_dir: Path
    volume_dirs: dict[str, Path]
    """Directory of each volume that exists already (attached or earlier); new ones are made in new_volumes."""
    new_volumes: Path
    secrets: dict[str, str] = field(default_factory=dict)
    """Values by key (`name_v1`); new ones are generated and added."""
    announce: Callable[[str, str], None] = lambda _kind, _name: None
    """Journal: called with what is about to be created."""
    say: Callable[[str], None] = lambda _: None
    """Told what is waited for before swarm is asked."""
    created_volumes: set[str] = field(default_factory=set)
    created_secrets: set[str] = field(default_factory=set)
    _document: Mapping[str, Any] = field(default_factory=dict, init=False)
    """As last deployed."""

    def claim(self) -> None:
        """Raise InfraError when somebody else's stack has our name: it is neither deployed over nor removed."""
        ours = self.placement.labels[INSTANCE_LABEL]
        label = [f"{NAMESPACE_LABEL}={self.placement.stack}"]
        found = [item["Spec"]["Labels"] for item in self.engine.services(label)]
        found += [item["Labels"] for item in self.engine.networks(label)]
        for labels in found:
            of_live = (labels.get(RUN_LABEL) in LIVE_RUNS) != (self.placement.run in LIVE_RUNS)
            if labels.get(INSTANCE_LABEL) != ours or of_live:
                raise InfraError(
                    f"the engine has a stack {self.placement.stack} that is not this WarmCI's",
                    hint="give this one a base_domain of its own in the settings",
                )

    def deploy(
        self, rendered: Rendered, fixed_secrets: Mapping[str, str], *, through_zero: Collection[str] = ()
    ) -> None:
        """Submit the rendered file; returns once swarm has taken it. Raises RecipeFailedError with swarm's words.

        through_zero: services of the version that runs which are stopped first, and then started with the new spec.
        """
        self._provide_secrets(rendered, fixed_secrets)  # first: one that nobody gave ends the deployment
        self._provide_networks(rendered)
        self._provide_volumes(rendered)
        config_dir = self.work_dir / "docker-config"
        config_dir.mkdir(exist_ok=True)
        path = self.work_dir / f"{self.placement.stack}.{rendered.commit[:8]}.yml"
        path.touch(mode=0o600)
        document = by_zero.without_replicas(rendered.document, through_zero)
        path.write_text(compose_text.dump(document), encoding="utf-8")
        graces = by_zero.graces(self.engine, [f"{NAMESPACE_LABEL}={self.placement.stack}"]) if through_zero else {}
        self.announce("stack", self.placement.stack)
        try:
            self.engine.deploy_stack(rendered.cli, self.placement.stack, path, config_dir)
        except CommandError as error:
            if addresses.is_exhaustion(error.tail):
                raise InfraError(f"engine: {error.tail.splitlines()[-1]}", hint=addresses.WAY_OUT) from error
            kept = f"the file as swarm got it is listed by: warmci run show {self.placement.run}"
            hint = "bump the config's version in abra.sh" if _LABEL_NOISE in error.tail else kept
            raise RecipeFailedError(
                f"swarm refuses the stack: {error.tail.splitlines()[-1] if error.tail else error.message}",
                hint=hint,
                log=error.tail,
            ) from error
        if through_zero:
            by_zero.start_again(self.engine, self.placement.stack, through_zero, graces)

    def _provide_networks(self, rendered: Rendered) -> None:
        self._document, stack = rendered.document, self.placement.stack
        there = {item["Name"] for item in self.engine.networks([f"{NAMESPACE_LABEL}={stack}"])}
        if subnets.real_names(stack, self._document) - there:
            held_subnets.await_released(self.engine, self.say)
        if taken := subnets.clash(self.engine, stack, self._document):
            raise taken
        for name, body in (rendered.document.get("networks") or {}).items():
            if (body or {}).get("external"):
                self.engine.ensure_overlay(real_name(name, body))

    def _provide_volumes(self, rendered: Rendered) -> None:
        for name, real in rendered.volumes.items():
            if real in self.created_volumes:
                continue
            path = self.volume_dirs.get(name)
            if path is None:
                path = self.new_volumes / name
                path.mkdir(mode=0o755)
                path.chmod(0o755)  # whatever the umask: an app's own user must get in, as with Docker's volumes
                self.volume_dirs[name] = path
            self.announce("volume", real)
            self.engine.create_volume(real, path, self.placement.labels)
            self.created_volumes.add(real)

    def _provide_secrets(self, rendered: Rendered, fixed: Mapping[str, str]) -> None:
        for key, hints in rendered.secrets.items():
            real = f"{self.placement.stack}_{key}"
            if real in self.created_secrets:
                continue
            name = key.rpartition("_")[0] or key
            value = fixed.get(name) or self.secrets.get(key) or generate_secret(hints, where=f"secret {key}")
            if name not in fixed:
                self.secrets[key] = value
            self.announce("secret", real)
            self.engine.create_secret(real, value, self.placement.labels)
            self.created_secrets.add(real)

    def wait(
        self,
        deadline_s: float,
        on_change: Callable[[str], None],
        monitors: Mapping[str, by_zero.Monitor | None] | None = None,
        checked_s: float = CHECKED_S,
    ) -> list[ServiceState]:
        """As convergence.wait_converged; a task that gets no address is no fault of the recipe but an InfraError."""
        stack = self.placement.stack
        try:
            return convergence.wait_converged(
                self.engine,
                stack,
                deadline_s=deadline_s,
                on_change=on_change,
                aside=lambda: self._starved(patient=True),
                monitors=monitors or {},
                checked_s=checked_s,
            )
        except RecipeFailedError as error:
            if starved := self._starved():
                raise starved from error
            if words := held_subnets.rejection(self.engine, stack):
                raise InfraError(f"{stack}: {words}", hint=held_subnets.WAY_OUT) from error
            raise

    def _starved(self, *, patient: bool = False) -> WarmciError | None:
        """That a task waits for an address in vain; patient: as long as it may still get one."""
        limit_s = addresses.PATIENT_S if patient else addresses.NEW_S
        reason = addresses.waits_in_vain(self.engine, self.placement.stack, limit_s)
        if not reason:
            return None
        # Two stacks may have asked for one subnet at the same moment.
        taken = subnets.clash(self.engine, self.placement.stack, self._document)
        return taken or InfraError(f"{self.placement.stack}: {reason}", hint=addresses.WAY_OUT)

    def remove_orphans(self, rendered: Rendered) -> list[str]:
        """Services that the new version dropped: abra leaves them, and they could keep a broken app green."""
        stack = self.placement.stack
        kept = {f"{stack}_{name}" for name in rendered.document["services"]}
        found = self.engine.services([f"{NAMESPACE_LABEL}={stack}"])
        orphans = [service for service in found if service["Spec"]["Name"] not in kept]
        self.engine.remove_services([service["ID"] for service in orphans])
        return [str(service["Spec"]["Name"]) for service in orphans]

    def running_images(self) -> dict[str, str]:
        """Service name to the image id that its running task has; an older task that drains has no say."""
        label = [f"{NAMESPACE_LABEL}={self.placement.stack}"]
        kept = {
            str((task["Status"].get("ContainerStatus") or {}).get("ContainerID", ""))
            for task in self.engine.tasks(label)
            if task["DesiredState"] == "running"
        }
        found = [item for item in self.engine.containers(label, running=True) if item["Id"] in kept]
        name_label = "com.docker.swarm.service.name"
        prefix = f"{self.placement.stack}_"
        return {str(item["Labels"][name_label]).removeprefix(prefix): str(item["ImageID"]) for item in found}

    def undeploy(
        self, *, keep_data: bool, measure: bool = False, meanwhile: Callable[[], None] = lambda: None
    ) -> list[str]:
        """Remove the stack with its volumes and secrets; returns when all is gone.

        meanwhile: done when no container is left and no volume, while swarm takes the networks away.
        With keep_data containers are stopped gracefully; returns the services that had to be killed all the same,
        whose data is then not at rest. With measure those that have a volume are, as whoever keeps their data would.
        """

        def without_containers() -> None:
            self._remove_volumes_and_secrets()
            meanwhile()

        return undeploy_stack(
            self.engine,
            self.placement.stack,
            graceful=keep_data,
            graceful_with_data=measure,
            without_containers=without_containers,
        )

    def _remove_volumes_and_secrets(self) -> None:
        """What outlives the stack; the volumes' directories are their owner's business."""
        ours = [f"{key}={value}" for key, value in self.placement.labels.items()]
        prefix = f"{self.placement.stack}_"
        # The engine makes one anew for a task that was still being prepared when it was told to end.
        strays = {item["Name"] for item in self.engine.volumes(ours) if item["Name"].startswith(prefix)}
        for name in sorted(self.created_volumes | strays):
            self.engine.remove_volume(name)
        self.created_volumes.clear()
        mine = [item["ID"] for item in self.engine.secrets(ours) if item["Spec"]["Name"].startswith(prefix)]
        self.engine.remove_secrets(mine)
        self.created_secrets.clear()
