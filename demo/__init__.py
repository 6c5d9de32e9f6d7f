"""The demo: a made-up district on two days, and the main job of `reconciler` run on it."""
