"""What the project makes to show itself: made-up sets, small models, ``fastcam demo``."""
