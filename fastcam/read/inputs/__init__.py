"""What a model is run on: finding images, volumes and tables, and preprocessing."""
