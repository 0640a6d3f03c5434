"""WarmCI tests Co-op Cloud recipes on a real Docker Swarm, cold or on warm data."""

__version__ = "0.1.0"
