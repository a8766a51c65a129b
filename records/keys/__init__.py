"""Keys: the master key, where it rests and how it changes, and all that it wraps."""
