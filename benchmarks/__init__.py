"""Speed and memory, printed as ratios that were measured in one run: machines are noisy, ratios less so."""
