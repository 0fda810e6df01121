"""Numbers as people write and compare them."""
