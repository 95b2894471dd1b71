"""Simulated power loss: changes of a disk are recorded, and what a crash may leave of them is tried."""
