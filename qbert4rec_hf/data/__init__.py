"""Domain folders: a shop's catalogue and the histories of its users, and where they come from."""
