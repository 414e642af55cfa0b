//! How a dataset is named: `SKYSENSE:workflow.yaml?input=value#layer=probability`, or the path of a `*.skysense.yaml`.

use std::path::{Path, PathBuf};

/// The prefix of a name.
pub(crate) const PREFIX: &str = "SKYSENSE:";
/// What the name of a workflow ends with that is a raster by itself.
const SUFFIXES: [&str; 2] = [".skysense.yaml", ".skysense.yml"];
/// What may stand behind `#`.
const PARTS: [&str; 3] = ["node", "layer", "period"];

/// A name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The workflow's file.
    pub(crate) file: PathBuf,
    /// Values of its params.
    pub(crate) params: Vec<(String, String)>,
    /// Which of its rasters: `node`, `layer` and `period`, as far as they are named.
    pub(crate) parts: Vec<(String, String)>,
}

/// Whether a name is one of ours; looks at nothing but the name.
pub(crate) fn is_ours(name: &str) -> bool {
    strip(name).is_some() || SUFFIXES.iter().any(|suffix| name.to_ascii_lowercase().ends_with(suffix))
}

fn strip(name: &str) -> Option<&str> {
    let (head, rest) = name.split_at_checked(PREFIX.len())?;
    head.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

impl Name {
    /// Takes a name apart.
    ///
    /// # Errors
    /// In words: what of it cannot be understood.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let rest = strip(name).unwrap_or(name);
        // A file whose own name has these signs is that file.
        if Path::new(rest).exists() {
            return Ok(Self { file: rest.into(), params: Vec::new(), parts: Vec::new() });
        }
        let (rest, parts) = rest.split_once('#').unwrap_or((rest, ""));
        let (file, params) = rest.split_once('?').unwrap_or((rest, ""));
        if file.is_empty() {
            return Err(format!("{name} names no file\n  hint: write {PREFIX}workflow.yaml?input=value"));
        }
        let parts = pairs(parts)?;
        if let Some((unknown, _)) = parts.iter().find(|(key, _)| !PARTS.contains(&key.as_str())) {
            return Err(format!("`{unknown}` behind # in {name}: expected {}", PARTS.join(", ")));
        }
        Ok(Self { file: file.into(), params: pairs(params)?, parts })
    }

    /// The value of a part.
    pub(crate) fn part(&self, key: &str) -> Option<&str> {
        self.parts.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The name with these parts.
    pub(crate) fn with(&self, params: &[(String, String)], parts: &[(&str, &str)]) -> String {
        let params: Vec<String> =
            params.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        let parts: Vec<String> = parts.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let query = if params.is_empty() { String::new() } else { format!("?{}", params.join("&")) };
        format!("{PREFIX}{}{query}#{}", self.file.display(), parts.join("&"))
    }
}

/// `name=value&name=value`, with `%20` and the like for signs that mean something here.
///
/// # Errors
/// In words: what is no such list.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: &str| match part.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((decode(name)?, decode(value)?)),
        _ => Err(format!("`{part}` is no NAME=VALUE; between two of them stands &")),
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        // A per cent sign that begins no byte is itself.
        let byte = (first == b'%')
            .then(|| tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()))
            .flatten();
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => bytes.push(first),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("`{text}` is no UTF-8 when its % are read"))
}

fn encode(text: &str) -> String {
    let sign = |c: char| match c {
        '%' | '&' | '=' | '#' | '?' | ' ' | '"' => format!("%{:02X}", c as u32),
        _ => c.to_string(),
    };
    text.chars().map(sign).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn names_are_taken_apart_and_put_together() {
        let name = Name::parse(
            "skysense:maps/crop map.yaml?catalog=a%26b.json&text=50%25%20or%more#layer=class&period=2021-04",
        );
        let name = name.unwrap();
        assert_eq!(name.file, Path::new("maps/crop map.yaml"));
        assert_eq!(name.params, [pair("catalog", "a&b.json"), pair("text", "50% or%more")]);
        assert_eq!(
            (name.part("layer"), name.part("period"), name.part("node")),
            (Some("class"), Some("2021-04"), None)
        );
        let again = Name::parse(&name.with(&name.params, &[("layer", "class"), ("period", "2021-04")])).unwrap();
        assert_eq!(again, name);
    }

    #[test]
    fn what_is_ours_is_seen_by_the_name() {
        for name in ["SKYSENSE:x", "skysense:x.yaml?a=b", "/maps/fields.skysense.yaml", "B.SKYSENSE.YML"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["workflow.yaml", "SKYSENS", "skysense.tif", "ä"] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn a_file_with_such_signs_in_its_name_is_that_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("what?is=this#.skysense.yaml");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Name::parse(&format!("SKYSENSE:{}", file.display())).unwrap().file, file);
    }

    #[test]
    fn mistakes_are_told() {
        assert!(Name::parse("SKYSENSE:").unwrap_err().contains("names no file"));
        assert!(Name::parse("SKYSENSE:a.yaml?b").unwrap_err().contains("`b` is no NAME=VALUE"));
        assert!(Name::parse("SKYSENSE:a.yaml#band=2").unwrap_err().contains("expected node, layer, period"));
    }
}
