"""WarmCI tests Co-op Cloud recipes on a real Docker Swarm, cold or on warm data."""
