"""The API: routers, errors, pagination, limits."""
