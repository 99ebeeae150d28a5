"""Jobs: rows that say what is to be done; the queue is only a hint."""
