"""
Snapshots of volumes on the server's own disk: taken before changes, quick to go back to, and no backup.

What takes them is a driver; everything else here knows no file system.
"""
