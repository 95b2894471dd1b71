"""The benchmark beside other registries: `python -m conformance.peers`, side by side in one run."""
