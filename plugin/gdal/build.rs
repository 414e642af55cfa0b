//! Builds the C++ that GDAL's driver class needs, where there is a C++ compiler.
//!
//! GDAL's C interface can make a driver and cannot tell it how to open a file. Without a C++ compiler the plugin is built
//! all the same, with its pixel function and no driver, and says so when it is asked for.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(driver)");
    println!("cargo::rerun-if-changed=shim/driver.cpp");
    println!("cargo::rerun-if-env-changed=CXX");
    let Ok(gdal) = pkg_config::Config::new().cargo_metadata(false).probe("gdal") else {
        println!("cargo::warning=pkg-config knows no gdal: the GDAL plugin is built without its driver");
        return;
    };
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").includes(&gdal.include_paths).file("shim/driver.cpp");
    // Headers of GDAL are not ours to mend.
    build.warnings(false).flag_if_supported("-fvisibility=hidden");
    match build.try_compile("skysense_gdal_driver") {
        Ok(()) => println!("cargo::rustc-cfg=driver"),
        Err(error) => {
            let reason = error.to_string();
            let first = reason.lines().next().unwrap_or_default();
            println!(
                "cargo::warning=no C++ compiler works (install g++): the GDAL plugin is built without its driver: {first}"
            );
            // A file that is not there: looked for again at the next build.
            println!("cargo::rerun-if-changed=shim/until-there-is-a-compiler");
        }
    }
}
