"""Selected inverses: the entries of A⁻¹ on the sparsity pattern of A, from sparse factors."""
