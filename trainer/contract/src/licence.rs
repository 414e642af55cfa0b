//! The form of a licence: an SPDX expression, or `proprietary`.

/// What is wrong with a licence; `None` where it is an SPDX expression or `proprietary`. The form is looked at: whether an
/// identifier is on SPDX's list is not.
pub fn licence_fault(text: &str) -> Option<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0 };
    let whole = reader.expression(0).is_some() && reader.at == words.len();
    (!whole).then(|| {
        format!(
            "is {text:?}, expected an SPDX expression such as CC-BY-4.0 or MIT OR Apache-2.0, LicenseRef-NAME for a licence \
             without an identifier, or proprietary"
        )
    })
}

/// Reads an expression by its grammar (SPDX 2.3, annex D).
struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
}

/// Parentheses in parentheses that are read; deeper ones are nobody's licence.
const DEPTH: usize = 16;

impl Reader<'_> {
    fn take(&mut self, word: &str) -> Option<()> {
        (self.words.get(self.at) == Some(&word)).then(|| self.at += 1)
    }

    /// Terms with `AND` or `OR` between.
    fn expression(&mut self, depth: usize) -> Option<()> {
        self.term(depth)?;
        while self.take("AND").or_else(|| self.take("OR")).is_some() {
            self.term(depth)?;
        }
        Some(())
    }

    /// A licence, with an exception maybe, or an expression in parentheses.
    fn term(&mut self, depth: usize) -> Option<()> {
        if self.take("(").is_some() {
            (depth < DEPTH).then(|| self.expression(depth + 1))??;
            return self.take(")");
        }
        self.name(licence)?;
        match self.take("WITH") {
            Some(()) => self.name(identifier),
            None => Some(()),
        }
    }

    fn name(&mut self, good: impl Fn(&str) -> bool) -> Option<()> {
        let word = self.words.get(self.at).filter(|word| !["AND", "OR", "WITH", "(", ")"].contains(word))?;
        good(word).then(|| self.at += 1)
    }
}

/// An identifier, one that means later versions too, or a reference to a licence that has none.
fn licence(word: &str) -> bool {
    let reference = word.strip_prefix("DocumentRef-").and_then(|rest| rest.split_once(':'));
    match reference {
        Some((document, licence)) => {
            identifier(document) && licence.strip_prefix("LicenseRef-").is_some_and(identifier)
        }
        None => identifier(word.strip_suffix('+').unwrap_or(word)),
    }
}

fn identifier(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_every_form_pass_and_sentences_do_not() {
        for good in [
            "proprietary",
            "Apache-2.0",
            "CC-BY-NC-4.0",
            "GPL-2.0+",
            "MIT OR Apache-2.0",
            "(MIT OR Apache-2.0) AND CC-BY-4.0",
            "GPL-2.0-only WITH Classpath-exception-2.0",
            "LicenseRef-research-only",
            "DocumentRef-weights:LicenseRef-1",
        ] {
            assert_eq!(licence_fault(good), None, "{good}");
        }
        let deep = format!("{}MIT{}", "(".repeat(10_000), ")".repeat(10_000));
        for wrong in [
            "",
            "research use only",
            "CC BY 4.0",
            "MIT OR",
            "OR MIT",
            "(MIT",
            "MIT)",
            "MIT, Apache-2.0",
            "MIT/Apache-2.0",
            "MIT WITH",
            "MIT WITH (x)",
            "Ünfrei",
            &deep,
        ] {
            let fault = licence_fault(wrong).unwrap_or_else(|| panic!("{wrong:?} passes"));
            assert!(fault.contains(&format!("{wrong:?}")) && fault.contains("CC-BY-4.0"), "{fault}");
        }
    }
}
