"""Attention of a model, captured while it runs: maps by layer and head, rollout, distances."""
