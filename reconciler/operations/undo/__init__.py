"""Make the plan that undoes a run."""
