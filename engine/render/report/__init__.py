"""The report of a run: its sections, each written once, and the page, card and closing block made of them."""
