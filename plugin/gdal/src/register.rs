//! What GDAL calls when it loads the plugin.

use crate::message::guarded;

/// GDAL looks for this name first, since the file is `gdal_SkySense`.
#[unsafe(no_mangle)]
extern "C" fn GDALRegister_SkySense() {
    register();
}

/// The name of old, which some programs look for.
#[unsafe(no_mangle)]
extern "C" fn GDALRegisterMe() {
    register();
}

fn register() {
    guarded((), || {
        crate::pixel_function::register();
        #[cfg(driver)]
        crate::dataset::register_driver()?;
        Ok(())
    });
}
