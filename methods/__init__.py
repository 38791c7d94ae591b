"""Methods: one file each, whose stem is the method's name."""
