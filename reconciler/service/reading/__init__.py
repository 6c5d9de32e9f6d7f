"""Show people what they may read: the lesson they came for, and the library of their communities."""
