"""Gates, limits and other rules that keep changes back until a person approves them."""
