"""The pages at /admin, a module for each room."""
