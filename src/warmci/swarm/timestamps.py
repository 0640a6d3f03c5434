"""Moments as the engine writes them."""

from __future__ import annotations

from datetime import datetime


def moment(text: object) -> float:
    """Seconds of the epoch; 0 for never, which the engine writes as nothing or as the year 1."""
    told = str(text or "")
    return datetime.fromisoformat(told).timestamp() if told and not told.startswith("0001") else 0.0
