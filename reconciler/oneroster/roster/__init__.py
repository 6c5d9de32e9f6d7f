"""Put the checked files of one roster together: references, roles, terms."""
