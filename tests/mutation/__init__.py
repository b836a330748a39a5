"""Mutation testing of the rules: `make mutation`."""
