"""Events: what happened, for the page that watches and the one that comes back."""
