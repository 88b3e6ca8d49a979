"""Where files are: on this machine's file system, or in a bucket of an object store."""
