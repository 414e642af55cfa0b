//! Open options: declared to GDAL, and read.

use std::path::PathBuf;

use crate::name::pairs;

/// As GDAL wants to know them.
pub(crate) const DECLARED: &str = "<OpenOptionList>\
<Option name='PARAMS' type='string' description='Values of the params of the workflow: NAME=VALUE&amp;NAME=VALUE'/>\
<Option name='NODE' type='string' description='Which stac.write of the workflow; the first if left out'/>\
<Option name='LAYER' type='string-select' description='Which of its outputs; the first if left out'>\
<Value>class</Value><Value>probability</Value><Value>entropy</Value><Value>value</Value><Value>features</Value></Option>\
<Option name='PERIOD' type='string' description='Which period, by name; the first if left out'/>\
<Option name='MAX_CHIPS' type='int' min='0' default='64' description='Most chips that are computed for one read that makes a window smaller'/>\
<Option name='NUM_THREADS' type='string' default='ALL_CPUS' description='Threads that compute: a number or ALL_CPUS; GDAL_NUM_THREADS if left out'/>\
<Option name='DEVICE' type='string' default='auto' description='Device for models: auto, cpu, cuda, cuda:1'/>\
<Option name='CACHE' type='boolean' default='YES' description='Whether chips that were computed are kept on disk'/>\
<Option name='CACHE_DIR' type='string' description='Folder in which they are kept'/>\
<Option name='CACHE_SIZE' type='int' min='0' default='2048' description='Most megabytes that are kept there'/>\
</OpenOptionList>";

/// Open options, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) params: Vec<(String, String)>,
    pub(crate) node: Option<String>,
    pub(crate) layer: Option<String>,
    pub(crate) period: Option<String>,
    pub(crate) max_chips: usize,
    /// Absent: all processors.
    pub(crate) threads: Option<usize>,
    pub(crate) device: String,
    /// Absent: nothing is kept.
    pub(crate) cache: Option<Cache>,
}

/// What is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cache {
    pub(crate) folder: PathBuf,
    pub(crate) bytes: u64,
}

impl Options {
    /// Reads `NAME=VALUE` as GDAL gives them; `threads` is what GDAL_NUM_THREADS says.
    ///
    /// # Errors
    /// In words: a value that is none of the option's.
    pub(crate) fn read(given: &[(String, String)], threads: Option<&str>) -> Result<Self, String> {
        let find = |name: &str| {
            let found = given.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let number = |name: &str, default: u64| match find(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| format!("open option {name}={text}: expected a whole number, 0 or more"))
            }
        };
        let owned = |name: &str| find(name).map(str::to_owned);
        let folder = owned("CACHE_DIR").map(PathBuf::from).or_else(cache_folder);
        let bytes = number("CACHE_SIZE", 2048)?.saturating_mul(1 << 20);
        let cache = if yes("CACHE", find("CACHE"))? { folder.map(|folder| Cache { folder, bytes }) } else { None };
        let layers = ["class", "probability", "entropy", "value", "features"];
        if let Some(other) = find("LAYER").filter(|layer| !layers.contains(layer)) {
            return Err(format!("open option LAYER={other}: expected one of {}", layers.join(", ")));
        }
        let counted = |name: &str, text: Option<&str>| match text {
            None => Ok(None),
            Some(text) if text.eq_ignore_ascii_case("ALL_CPUS") => Ok(None),
            Some(text) => match text.parse() {
                Ok(count @ 1..=4096) => Ok(Some(count)),
                _ => Err(format!("{name}={text}: expected ALL_CPUS or a number from 1 to 4096")),
            },
        };
        let threads = match find("NUM_THREADS") {
            Some(text) => counted("open option NUM_THREADS", Some(text))?,
            None => counted("GDAL_NUM_THREADS", threads)?,
        };
        Ok(Self {
            params: pairs(find("PARAMS").unwrap_or_default()).map_err(|told| format!("open option PARAMS: {told}"))?,
            node: owned("NODE"),
            layer: owned("LAYER"),
            period: owned("PERIOD"),
            max_chips: usize::try_from(number("MAX_CHIPS", 64)?).unwrap_or(usize::MAX),
            threads,
            device: owned("DEVICE").unwrap_or_else(|| "auto".into()),
            cache,
        })
    }
}

fn yes(name: &str, text: Option<&str>) -> Result<bool, String> {
    let Some(text) = text else { return Ok(true) };
    match text.to_ascii_uppercase().as_str() {
        "YES" | "TRUE" | "ON" | "1" => Ok(true),
        "NO" | "FALSE" | "OFF" | "0" => Ok(false),
        _ => Err(format!("open option {name}={text}: expected YES or NO")),
    }
}

/// `skysense/gdal` in the user's cache folder.
fn cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
    Some(base.join("skysense/gdal"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)], threads: Option<&str>) -> Result<Options, String> {
        let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::read(&given, threads)
    }

    #[test]
    fn options_are_read_and_gdals_own_threads_stand_in() {
        let options = read(&[("params", "a=1&b=x%20y"), ("max_chips", "3"), ("CACHE", "no")], Some("2")).unwrap();
        assert_eq!(options.params, [("a".into(), "1".into()), ("b".into(), "x y".into())]);
        assert_eq!((options.max_chips, options.threads, options.cache), (3, Some(2), None));
        assert_eq!(read(&[("NUM_THREADS", "ALL_CPUS")], Some("2")).unwrap().threads, None);
        let cache = read(&[("CACHE_DIR", "/there"), ("CACHE_SIZE", "1")], None).unwrap().cache;
        assert_eq!(cache, Some(Cache { folder: "/there".into(), bytes: 1 << 20 }));
    }

    #[test]
    fn values_that_are_none_are_told_with_their_option() {
        for (name, value) in
            [("MAX_CHIPS", "-1"), ("CACHE", "maybe"), ("NUM_THREADS", "0"), ("LAYER", "depth"), ("PARAMS", "a")]
        {
            let told = read(&[(name, value)], None).unwrap_err();
            assert!(told.contains(name) && told.contains(value), "{told}");
        }
        assert!(read(&[], Some("many")).unwrap_err().contains("GDAL_NUM_THREADS=many"));
    }

    #[test]
    fn every_option_that_is_read_is_declared() {
        for name in [
            "PARAMS",
            "NODE",
            "LAYER",
            "PERIOD",
            "MAX_CHIPS",
            "NUM_THREADS",
            "DEVICE",
            "CACHE",
            "CACHE_DIR",
            "CACHE_SIZE",
        ] {
            assert!(DECLARED.contains(&format!("<Option name='{name}'")), "{name}");
        }
    }
}
