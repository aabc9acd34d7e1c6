"""How plain functions are differentiated: complex steps, finite differences, functions that are safe for both."""
