//! Sizes of memory as people write them.

/// Bytes of a size like `4GiB`, `800MB`, `1.5G` (as GiB) or `1048576`; nothing where it is none, or less than a byte.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let factor: f64 = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = digits.trim().parse::<f64>().ok()? * factor;
    // A sum of some of them stays below what a number of the state holds.
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("4GiB", 4 << 30), ("4 GiB", 4 << 30), ("1.5g", 3 << 29), ("800MB", 800_000_000), ("1048576", 1 << 20)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "GiB", "-1G", "0", "4XB", "1e30", "nan", "inf", "4GiBs"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
