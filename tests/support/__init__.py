"""What the tests and benchmarks on real kernels share: namespaces, cables, routing daemons, waiting with deadlines.

Only the standard library is used. Everything that a Lab makes carries the Lab's own prefix and is taken down by it,
whatever happens in between.
"""
