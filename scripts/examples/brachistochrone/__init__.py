"""The brachistochrone: a calculus of variations on meshes, and its inner products."""
