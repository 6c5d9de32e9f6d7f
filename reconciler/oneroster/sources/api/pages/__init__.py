"""Read collections page by page until they are provably complete."""
