"""All analyses of one model at once, such as one that was trained elsewhere."""
