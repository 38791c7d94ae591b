"""Published set-ups that the harness is held against, one file each: `bench validate`.

An `Anchor` says how a network was trained and what was measured on it, and where the harness has
the same numbers.
"""
