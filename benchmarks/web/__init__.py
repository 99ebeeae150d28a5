"""How fast the web app is in a browser: Lighthouse's scores, layout shifts, a grid of ten thousand photos."""
