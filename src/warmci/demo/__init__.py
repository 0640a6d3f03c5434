"""The story told on real parts: its recipes, the images they run, and a private engine to run them in.

May use every room but cli and sweep. Tests and benchmarks use its engine and images. Read first: story.py.
"""
