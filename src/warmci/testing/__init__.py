"""A recipe's own tests: pytest in a process of its own, the fixtures it gets, and a login as a browser does it.

The only importer of pytest. Read first: suite.py, then pytest_plugin.py.
"""
