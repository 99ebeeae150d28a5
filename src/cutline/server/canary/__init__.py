"""The canary: how people like what the challenger writes beside the champion, and when it is stopped."""
