"""Objects and stages in a bucket of an S3-compatible object store (decisions 8, 60 and 61)."""
