//! GDAL's messages, kept per thread while one of our calls runs, with credentials cut out.

use std::cell::RefCell;

use gdal::errors::CplErrType;

/// More messages than this say nothing new: libtiff repeats itself for each line.
const KEPT: usize = 8;

thread_local! {
    static CAPTURED: RefCell<Option<Messages>> = const { RefCell::new(None) };
}

/// What GDAL said during a call.
#[derive(Debug, Default, Clone)]
pub(crate) struct Messages {
    /// Errors, oldest first.
    pub(crate) failures: Vec<String>,
    /// Warnings, oldest first.
    pub(crate) warnings: Vec<String>,
}

impl Messages {
    /// All errors as one line; the warnings if there is no error; a plain word if GDAL said nothing.
    pub(crate) fn text(&self) -> String {
        let lines = if self.failures.is_empty() { &self.warnings } else { &self.failures };
        if lines.is_empty() { "GDAL gave no reason".into() } else { lines.join("; ") }
    }

    /// Whether an error was reported.
    pub(crate) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// Runs `call` and collects what GDAL says in this thread meanwhile.
pub(crate) fn capture<T>(call: impl FnOnce() -> T) -> (T, Messages) {
    let outer = CAPTURED.with(|slot| slot.borrow_mut().replace(Messages::default()));
    let result = call();
    let messages = CAPTURED.with(|slot| std::mem::replace(&mut *slot.borrow_mut(), outer));
    (result, messages.unwrap_or_default())
}

/// The error handler that `setup` installs.
pub(crate) fn handle(class: CplErrType, _number: i32, text: &str) {
    let text = redact(text);
    CAPTURED.with(|slot| {
        // A message that arises while a message is stored can only come from ourselves; it is dropped.
        let Ok(mut slot) = slot.try_borrow_mut() else { return };
        match (slot.as_mut(), class) {
            (Some(kept), CplErrType::Failure | CplErrType::Fatal) => push(&mut kept.failures, text),
            (Some(kept), CplErrType::Warning) => push(&mut kept.warnings, text),
            (None, CplErrType::Failure | CplErrType::Fatal) => tracing::warn!(target: "gdal", "{text}"),
            _ => tracing::debug!(target: "gdal", "{text}"),
        }
    });
}

fn push(lines: &mut Vec<String>, text: String) {
    if lines.len() < KEPT && lines.last() != Some(&text) {
        lines.push(text);
    }
}

/// The text without what may open a door: queries of URLs (signatures stand there), user and password
/// before a host, and the words after `Bearer` and `Authorization:`.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let end = url
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')'))
            .unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let authority_end = url.find('/').unwrap_or(url.len());
        let host = url[..authority_end].rfind('@').map_or(0, |at| at + 1);
        match url[host..].find('?') {
            Some(query) => {
                out.push_str(&url[host..host + query]);
                out.push_str("?(cut)");
            }
            None => out.push_str(&url[host..]),
        }
        rest = after;
    }
    out.push_str(rest);
    for word in ["Bearer ", "Authorization: "] {
        let mut from = 0;
        while let Some(at) = out[from..].find(word) {
            let start = from + at + word.len();
            let end = out[start..].find(|c: char| c.is_whitespace()).map_or(out.len(), |n| start + n);
            out.replace_range(start..end, "(cut)");
            from = start;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_and_passwords_are_cut() {
        let text =
            "`/vsicurl/https://me:pw@host.org/a/b.tif?sig=SECRET&se=1' does not exist (https://x.org/c.tif?token=T)";
        let clean = redact(text);
        assert_eq!(clean, "`/vsicurl/https://host.org/a/b.tif?(cut)' does not exist (https://x.org/c.tif?(cut))");
        assert_eq!(redact("Authorization: abc and Bearer xyz"), "Authorization: (cut) and Bearer (cut)");
        assert_eq!(redact("plain /data/a.tif"), "plain /data/a.tif");
    }

    #[test]
    fn captures_nest() {
        let (_, outer) = capture(|| {
            handle(CplErrType::Failure, 1, "before");
            let (_, inner) = capture(|| handle(CplErrType::Warning, 1, "within"));
            assert_eq!(inner.warnings, ["within"]);
            assert!(!inner.failed());
            handle(CplErrType::Failure, 1, "after");
        });
        assert_eq!(outer.text(), "before; after");
    }
}
