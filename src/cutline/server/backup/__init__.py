"""Backups: the database and the files of one point in time, as one archive.

`archive` says what is in one, `encryption` how it is sealed, `places` where it lies, `tables` how rows are
written and read; `services` makes a backup, `restoring` restores one.
"""
