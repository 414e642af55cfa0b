//! Writes seeded, physically plausible scenes as COGs with a STAC catalog.
