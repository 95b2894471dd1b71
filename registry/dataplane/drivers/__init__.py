"""One storage medium each, behind `port.Driver`; `guard` wraps them all."""
