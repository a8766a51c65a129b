"""Reports: people who find their face on a stranger's account, from the first photo to the last receipt."""
