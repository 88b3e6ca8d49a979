"""Model and batch to maps: attention capture, class activation maps, rollout."""
