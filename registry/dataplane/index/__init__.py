"""The content index: where in the packs an object or a chunk is. It can be rebuilt from the packs alone."""
