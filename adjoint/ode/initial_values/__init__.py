"""u and K₁ at t₀ and behind discontinuities of f, consistent for a DAE; with derivatives."""
