"""The engine: deploy a rendered recipe, see it converge, reach it, undeploy it, delete what a dead run left.

The only importer of docker. Read first: engine.py, then deployment.py (up to the removal of a stack) and
convergence.py.
"""
