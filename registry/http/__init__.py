"""HTTP mechanics that both faces share: bodies, ranges, conditions, sending. The only home of aiohttp's server
side below `registry.server`; it knows no use case."""
