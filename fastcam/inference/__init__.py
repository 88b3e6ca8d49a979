"""Images in batches through a model, and what comes out into a store, at the model's own speed."""
