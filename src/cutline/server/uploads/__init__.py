"""Taking in photos: check, store, queue the caption, all or nothing."""
