"""Images: photos, their renditions and files, tags, moderation."""
