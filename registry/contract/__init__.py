"""The vocabulary every other package speaks: values, errors, protocols. No I/O happens here."""
