"""Figures of every kind: pure layouts from one item to a canvas. No scheduler, no model."""
