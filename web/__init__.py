"""Pages for people: the moderation console.

A request goes so: 1. headers.py lets it in and dresses the answer, 2. security.py says who asks and refuses forged
forms, 3. a page of pages/ does the work with the records on the desk (desk.py), 4. rendering.py makes HTML in the
visitor's language, or errors.py a page that says what to do next.
"""
