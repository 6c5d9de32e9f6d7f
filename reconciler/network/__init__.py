"""How other people's servers are reached: only those that may be, and no faster than they are to be asked."""
