"""Keycloak itself: its admin REST interface, a realm for each run, and Keycloak as a deployed recipe.

Does not know which Keycloak it speaks to, live or a run's own. Read first: realm_lifecycle.py (create, list, delete
a realm), then admin_rest.py (tokens, answers, what is tried again).
"""
