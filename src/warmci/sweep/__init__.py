"""Many recipes at once: the night's sweep, and the registry made what the settings declare.

Starts runs as processes of their own, so it may use every room but cli and demo. Read first: night.py.
"""
