"""Look-back: a newly protected person is searched in avatars that were uploaded before."""
