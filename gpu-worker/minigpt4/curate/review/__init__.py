"""A page for one person on this machine: look at what was made, keep, edit or drop it."""
