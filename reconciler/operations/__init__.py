"""Plan, apply and what goes with them: the only place where the rooms meet."""
