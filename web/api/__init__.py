"""The API for a platform's own tools: cases and decisions as JSON, for programs with a token."""
