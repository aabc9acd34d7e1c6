"""Initial values: u(t₀) and K₁ = u'(t₀), consistent for a DAE, also behind discontinuities of f."""
