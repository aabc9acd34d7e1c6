"""The steps of an integration: accepted, recorded, repeated, and frozen for derivatives."""
