"""What is told of runs and sweeps, and to whom: the terminal, HTML, badges, JUnit, the forge, alerts; their history.

Works on results and events only, and runs nothing; trigger.py reads what a comment or a CI asks for. Read first:
words.py: every output says the same of a result.
"""
