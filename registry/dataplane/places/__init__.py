"""Several places behind one data plane: where bytes arrive, and where they may be kept or moved to."""
