"""Schools whose roster source has faults."""
