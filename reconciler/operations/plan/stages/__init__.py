"""Plan one customer in four stages: its files, its documents, its roster, and the plan assembled from them."""
