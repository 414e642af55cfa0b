//! The contract of a model package: bands, units, normalisation, sizes, classes, probe.
