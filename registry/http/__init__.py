"""What both faces need of HTTP: bodies, ranges, conditions, and answers that leave fast."""
