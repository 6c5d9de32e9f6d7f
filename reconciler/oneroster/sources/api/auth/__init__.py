"""Authorize requests to an API by OAuth 1.0a signatures or OAuth 2.0 tokens."""
