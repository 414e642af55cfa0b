//! The stable C contract between engine and plugins, with a safe face for both sides.
