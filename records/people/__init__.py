"""Who may come in: people with their roles, passwords and sessions, and programs with their tokens."""
