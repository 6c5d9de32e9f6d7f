"""Read the members and the manifest of a ZIP archive under caps, without extracting it to disk."""
