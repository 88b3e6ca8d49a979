"""Whether maps can be believed: perturbation curves and parameter randomization."""
