"""Find out what an API offers and how it deviates from the standard, without fetching a roster."""
