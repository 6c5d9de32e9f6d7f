"""The letter of the OneRoster CSV standard: every deviation of a bundle, whether or not the intake would read it."""
