"""What people and timers type: each file parses one command group, calls one function of a room below, and renders.

May use every room; only run_recipe_ci may use it, and nobody but the two imports typer. Read first: app.py, which lists
the commands; exits.py ends a program with the exit code of an error (base/errors.py).
"""
