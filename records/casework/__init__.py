"""Cases, from the review that opens one to the decision that is told: see cases.py for the order."""
