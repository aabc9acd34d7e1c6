"""The steps of an integration: which were accepted, what is kept of them, how they are repeated."""
