"""The method of moving asymptotes: its approximations, their subproblem, and its globally convergent variant."""
