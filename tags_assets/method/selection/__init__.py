"""Selection: objective, solver, certificate, attribution."""
