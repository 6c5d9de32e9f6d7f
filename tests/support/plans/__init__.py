"""Plans built by hand."""
