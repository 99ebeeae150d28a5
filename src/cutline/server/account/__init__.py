"""What people do with their account: sign-in, roles, keys, claiming, export, deletion."""
