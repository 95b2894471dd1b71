"""A client of the OCI distribution API: push and pull with resumption, against any registry.

`transport` is the one home of aiohttp's client; `registry` the calls; `upload` and `download` one blob each;
`push` and `pull` whole artifacts.
"""
