//! STAC catalogs: search, items, bands, sensors, publishing; JSON only.
