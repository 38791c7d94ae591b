"""The commands beside `run` and `report`, a module each."""
