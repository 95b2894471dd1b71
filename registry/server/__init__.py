"""The process: settings, composition of faces and store, workers, metrics, and the command line."""
