"""Likeness beside what people use instead: the same pictures, the same vectors, one machine, their best settings."""
