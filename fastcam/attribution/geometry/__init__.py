"""Where the cells of a map lie in the image: the strides, padding and cutting of a model."""
