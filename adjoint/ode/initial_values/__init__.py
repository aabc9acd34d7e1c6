"""u and K₁ at t₀ and behind discontinuities of f, with derivatives; consistent if M is singular."""
