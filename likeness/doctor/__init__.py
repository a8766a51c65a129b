"""Looks at everything that Likeness needs and says what is wrong and how to mend it. Changes nothing, unless deep."""
