"""The virtual file system: open files, inodes, dentries, mounts, paths; knows no task."""
