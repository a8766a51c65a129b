"""The report page, for people who find their face on a stranger's account: one module a step; each has `router`."""
