"""A reference network with mixed attention and few-shot reconstruction, one module a part."""
