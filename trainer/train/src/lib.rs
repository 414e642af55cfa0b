//! Training: samples, losses, loops, export.
