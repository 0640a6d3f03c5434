"""What people and timers type: each file parses one command group, calls one function of a room below, and renders.

May use every room; nothing else may use it, and nobody but it and run_recipe_ci imports typer. Read first: app.py,
which lists the commands; exits.py turns errors into exit codes.
"""
