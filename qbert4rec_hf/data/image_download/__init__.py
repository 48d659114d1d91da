"""The pictures of a domain, fetched from the addresses that its items list."""
