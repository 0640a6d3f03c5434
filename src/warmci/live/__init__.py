"""What is live-warm on this host: Keycloak with its account and its realms, Traefik; upgraded with a way back.

Knows runs only as users of a lock. keycloak.json and ingress.json on disk are the one truth about each. Read first:
keycloak.py, then reconcile.py (Keycloak's); for Traefik, and which ingress a run takes, ingress.py.
"""
