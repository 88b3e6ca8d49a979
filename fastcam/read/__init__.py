"""Files that fastcam reads: results, volumes, and what a model is run on."""
