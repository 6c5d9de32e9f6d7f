"""CI of a customers repository on one machine."""
