//! "Did you mean": the nearest known name.

/// The candidate that `word` is most likely a slip of, as a hint; none if nothing is near.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// The nearest candidate: equal but for case and separators, or few edits away for its length.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' ', '.'], "-");
    let wanted = plain(word);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = plain(candidate);
            let edits = strsim::damerau_levenshtein(&wanted, &known);
            let longest = wanted.chars().count().max(known.chars().count());
            // Words of one or two letters are one edit from everything, so they match only exactly.
            let allowed = longest / 3;
            // The last part of a dotted name is often all that is remembered: `chips` for `raster.chips`.
            let part = candidate.split('.').any(|part| part.eq_ignore_ascii_case(word));
            (edits <= allowed || part).then_some((if part { 1 } else { edits }, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names as a list for messages: `a`, `b`, `c`.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_strangers_do_not() {
        let known = ["size", "overlap", "resolution", "raster.chips", "stac.search"];
        assert_eq!(nearest("sise", known), Some("size"));
        assert_eq!(nearest("Overlap", known), Some("overlap"));
        assert_eq!(nearest("chips", known), Some("raster.chips"));
        assert_eq!(nearest("stac_search", known), Some("stac.search"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("xy", known), None);
    }
}
