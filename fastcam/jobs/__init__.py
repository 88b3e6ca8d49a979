"""The jobs behind the commands, one folder each; each imports only from those before it."""
