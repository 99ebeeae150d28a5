"""Mail: an outbox, sent by the worker."""
