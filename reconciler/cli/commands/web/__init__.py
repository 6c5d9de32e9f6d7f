"""Commands that run the web application."""
