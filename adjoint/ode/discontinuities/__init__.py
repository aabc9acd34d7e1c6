"""Times at which f may jump: where they are, what begins anew there, derivatives with respect to them."""
