"""What an operator does by hand, and what keeps a host in order: status, metrics, save, restore, fsck, prune, recover.

Knows no pipeline: runs call it, it never calls them. Read first: doctor.py for a look at everything, recover.py for
what happens after a kill.
"""
