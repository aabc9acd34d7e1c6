"""Bilinear and trilinear finite elements on structured grids."""
