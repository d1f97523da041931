"""Pages that a person opens in a browser, each one file that needs no other."""
