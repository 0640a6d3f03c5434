"""What a recipe's repository says: releases, env, compose, routes, what it may not ask for, and the rendered document.

Looks at files and git, and has Docker's CLI load compose files: no engine, no Keycloak. Read first: render.py, where
all of it comes together; trust_gate.py refuses.
"""
