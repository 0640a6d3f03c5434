"""Canonicals and snapshots: what must never be lost. Each step here survives kill -9 and a power cut.

May ask the engine who uses a volume; a recipe is a name to it, and what a run does it does not know. Read first:
canonical.py (the commit point), then snapshot.py.
"""
