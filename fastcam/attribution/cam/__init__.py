"""Class activation maps: layers, split forward passes, formulas, and what they explain."""
