"""`python -m warmci`: the same as `warmci`."""

from warmci.cli.app import entry

entry()
