"""The product seen from outside: suites, clients and peers, over HTTP only."""
