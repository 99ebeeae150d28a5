"""What others notice while somebody attacks the service from one address; __main__.py says how to run it."""
