//! The SkySense plugin: nodes from catalog to map.
