"""What an output loses where parts of the input are covered."""
