"""Scenarios: the questions asked of every method, one file each."""
