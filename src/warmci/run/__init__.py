"""One run from request to verdict: the choice of the pipeline, cold, quick, promotion; apps that are kept.

May use every room below: operate, live, sso, testing, store, swarm, recipe, report, base. Read first: run.py, then
pipeline.py; app.py is the app under test.
"""
