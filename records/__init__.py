"""What is kept: protected identities, their references and keys, decisions, and the changes still to be announced.

One change travels so: 1. gallery.py or decisions.py writes it and announcer.py its outbox row in one transaction,
2. outbox.py hands the row to a relay, 3. gallery_changes.py opens it again where an index follows the gallery.
"""
