"""The websocket at /ws."""
