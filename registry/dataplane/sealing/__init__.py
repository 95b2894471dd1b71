"""Sealing: what a sealed domain stores is AES-256-GCM ciphertext from its first byte (decision 37).

Keys are enveloped: a random data key for each domain, wrapped by a key-encryption key that never leaves its
provider. `KeyRing` is both what a store seals with and what an operator rotates and destroys keys by.
"""
