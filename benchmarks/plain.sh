#!/bin/sh
# What a person would do by hand for the same check: deploy what is known to be good on a copy of its data, wait until
# it is healthy, deploy the new version, wait until swarm says it is completed, remove the stack, wait until it is gone.
# Environment: DOCKER_HOST, STACK, OLD and NEW (rendered compose files), VOLUME, DATA (the data to start from), SCRATCH.
set -eu

poll() { sleep 0.2; }

cp -a "$DATA" "$SCRATCH"
docker volume create --driver local --opt type=none --opt o=bind --opt device="$SCRATCH" "$VOLUME" >/dev/null
docker stack deploy --detach=true --resolve-image never --compose-file "$OLD" "$STACK" >/dev/null
for service in db app; do
    until [ -n "$(docker ps -q --filter "label=com.docker.swarm.service.name=${STACK}_$service" --filter health=healthy)" ]; do poll; done
done
docker stack deploy --detach=true --resolve-image never --compose-file "$NEW" "$STACK" >/dev/null
while [ "$(docker service inspect --format '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}' "${STACK}_app")" != completed ]; do poll; done
docker stack rm "$STACK" >/dev/null
while [ -n "$(docker ps -aq --filter "label=com.docker.stack.namespace=$STACK")$(docker network ls -q --filter "label=com.docker.stack.namespace=$STACK")" ]; do poll; done
docker volume rm "$VOLUME" >/dev/null
rm -rf "$SCRATCH"
