"""One entry point a rule: read files, compute, write one file, say in a line what came out."""
