"""Pictures of single inputs, and where people may not be shown."""
