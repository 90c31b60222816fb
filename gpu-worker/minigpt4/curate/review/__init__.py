"""A page on this machine where one person reviews the answers: keep, edit or drop."""
