"""The live-warm Keycloak of this host: deployed, upgraded with a way back, its account kept, its realms watched.

Knows runs only as users of a lock. keycloak.json on disk is the one truth about it. Read first: keycloak.py, then
reconcile.py.
"""
