"""What is kept: protected identities, their references and keys, and the changes still to be announced.

One change travels so: 1. gallery.py writes it and its outbox row in one transaction, 2. outbox.py hands the row
to a relay, 3. gallery_changes.py opens it again where an index follows the gallery.
"""
