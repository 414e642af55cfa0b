//! Keeps the test programs' SQLite to themselves.
//!
//! A program that links a library and is linked to GDAL lends GDAL those of its symbols that GDAL looks for: GDAL's
//! GeoPackages would then be read by some of our SQLite's functions and some of the system's, and crash. The plugin itself
//! exports one symbol only and needs none of this.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg=-Wl,--exclude-libs,ALL");
    }
}
