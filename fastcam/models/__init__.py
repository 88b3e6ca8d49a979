"""Names to models: those the project defines itself, those of other libraries, checkpoints."""
