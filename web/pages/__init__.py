"""One module a page: each has its routes in `router`."""
