"""What the service tells about itself: metrics, logs, request ids, health."""
