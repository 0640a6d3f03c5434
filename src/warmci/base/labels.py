"""Labels on what the engine keeps: how WarmCI finds its own things and tells them from others'."""

NAMESPACE_LABEL = "com.docker.stack.namespace"
INSTANCE_LABEL = "org.warmci.instance"
RUN_LABEL = "org.warmci.run"
RECIPE_LABEL = "org.warmci.recipe"
COMMIT_LABEL = "org.warmci.commit"
LIVE_RUN = "live"
"""Of the live-warm Keycloak, in place of a run's id."""
INGRESS_RUN = "live-ingress"
"""Of the live-warm Traefik."""
LIVE_RUNS = frozenset({LIVE_RUN, INGRESS_RUN})
"""Run label of what belongs to no run: the live-warm Keycloak."""
