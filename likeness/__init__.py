"""The program `likeness`: one file per command."""
