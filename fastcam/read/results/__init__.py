"""Results files: read without trust, checked, as cases."""
