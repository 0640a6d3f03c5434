"""What is told of runs and sweeps, and to whom: the terminal, HTML, JUnit, the forge, alerts, the history of runs.

Works on results only. Read first: words.py: every output says the same of a result.
"""
