"""Plan, run, and the curves a run leaves."""
