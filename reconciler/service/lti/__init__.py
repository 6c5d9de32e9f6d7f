"""Check an LTI 1.1 launch and say who arrives with it, without a store and without a clock."""
