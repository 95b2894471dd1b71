"""The ledger as a tiled log: its Merkle tree, its tiles and its checkpoints. No I/O.

The forms are those of C2SP: tlog-tiles, tlog-checkpoint and signed-note (https://c2sp.org).
"""
