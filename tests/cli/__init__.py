"""The client commands as people run them: subprocesses against a server of our own."""
