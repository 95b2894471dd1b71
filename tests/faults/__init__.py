"""A real server when things go wrong: kills, cut lines, full disks, slow and hostile clients."""
