"""Mail to reporters who asked for it: that there is news, and nothing of what it is."""
