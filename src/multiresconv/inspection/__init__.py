"""What a model has learned: measures of its layers, and pictures of them."""
