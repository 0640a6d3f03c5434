"""Canonicals and snapshots: what must never be lost. Each step here survives kill -9 and a power cut.

May ask the engine who uses a volume; knows no recipe and no run. Read first: canonical.py (the commit point), then
snapshot.py.
"""
