"""Commands of the canary."""
