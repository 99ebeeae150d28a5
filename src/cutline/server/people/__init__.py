"""People: users, owners (with or without an account), API keys, roles."""
