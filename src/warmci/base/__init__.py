"""The ground: settings, names, errors with their exit codes, files, processes, locks. Knows nothing of recipes.

Uses no other room. Read first: errors.py and models.py (what is written to disk and printed as JSON).
"""
