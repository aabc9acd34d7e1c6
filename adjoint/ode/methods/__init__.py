"""Runge–Kutta methods as data: tableaux, and the methods made of them."""
