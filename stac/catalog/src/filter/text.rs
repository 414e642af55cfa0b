//! CQL2 text.

use super::{DEEPEST, Operand, Operator, Test, moment};
use crate::parse_datetime;

type Read<T> = std::result::Result<T, String>;

/// Words that are no property.
const WORDS: [&str; 8] = ["AND", "OR", "NOT", "LIKE", "BETWEEN", "IN", "IS", "NULL"];

pub(super) fn read(text: &str) -> Read<Test> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    if reader.rest().is_empty() {
        return Err("holds nothing".into());
    }
    let test = reader.any(0)?;
    match reader.rest().is_empty() {
        true => Ok(test),
        false => Err(reader.found("AND, OR or the end")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// What stands here instead of what was expected.
    fn found(&self, expected: &str) -> String {
        let word: String = self.rest().split_whitespace().next().unwrap_or_default().chars().take(40).collect();
        let place = self.text[..self.at].chars().count() + 1;
        match word.is_empty() {
            true => format!("ends at character {place}, expected {expected}"),
            false => format!("has `{word}` at character {place}, expected {expected}"),
        }
    }

    /// Passes a sign.
    fn sign(&mut self, sign: &str) -> bool {
        let here = self.rest().starts_with(sign);
        if here {
            self.at += sign.len();
            self.space();
        }
        here
    }

    fn expect(&mut self, sign: &str) -> Read<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.found(&format!("`{sign}`"))) }
    }

    /// The name that stands here, not yet passed.
    fn name(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))).unwrap_or(rest.len());
        if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') { &rest[..end] } else { "" }
    }

    /// Passes a word of the language.
    fn word(&mut self, word: &str) -> bool {
        let here = self.name().eq_ignore_ascii_case(word);
        if here {
            self.at += word.len();
            self.space();
        }
        here
    }

    fn any(&mut self, depth: usize) -> Read<Test> {
        let mut tests = vec![self.all(depth)?];
        while self.word("OR") {
            tests.push(self.all(depth)?);
        }
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::Or(tests) })
    }

    fn all(&mut self, depth: usize) -> Read<Test> {
        let mut tests = vec![self.one(depth)?];
        while self.word("AND") {
            tests.push(self.one(depth)?);
        }
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::And(tests) })
    }

    fn one(&mut self, depth: usize) -> Read<Test> {
        if depth > DEEPEST {
            return Err(format!("nests more than {DEEPEST} deep"));
        }
        if self.word("NOT") {
            return self.one(depth + 1).map(|test| Test::Not(Box::new(test)));
        }
        if self.sign("(") {
            let test = self.any(depth + 1)?;
            self.expect(")")?;
            return Ok(test);
        }
        self.condition()
    }

    fn condition(&mut self) -> Read<Test> {
        let left = self.operand()?;
        if self.word("IS") {
            let not = self.word("NOT");
            if !self.word("NULL") {
                return Err(self.found("NULL"));
            }
            return Ok(negated(not, Test::IsNull(left)));
        }
        let not = self.word("NOT");
        if self.word("LIKE") {
            let pattern = self.quoted('\'')?.ok_or_else(|| self.found("a pattern in quotes"))?;
            return Ok(negated(not, Test::Like(left, pattern)));
        }
        if self.word("BETWEEN") {
            let low = self.operand()?;
            if !self.word("AND") {
                return Err(self.found("AND"));
            }
            return Ok(negated(not, Test::Between(left, low, self.operand()?)));
        }
        if self.word("IN") {
            self.expect("(")?;
            let mut list = vec![self.operand()?];
            while self.sign(",") {
                list.push(self.operand()?);
            }
            self.expect(")")?;
            return Ok(negated(not, Test::In(left, list)));
        }
        if not {
            return Err(self.found("LIKE, BETWEEN or IN"));
        }
        for operator in Operator::ALL {
            if self.sign(operator.sign()) {
                return Ok(Test::Compare(operator, left, self.operand()?));
            }
        }
        Err(self.found("=, <>, <, <=, >, >=, LIKE, BETWEEN, IN or IS NULL"))
    }

    fn operand(&mut self) -> Read<Operand> {
        if let Some(text) = self.quoted('\'')? {
            return Ok(Operand::Text(text));
        }
        if let Some(name) = self.quoted('"')? {
            return Ok(Operand::Property(name));
        }
        let name = self.name();
        if name.is_empty() {
            return self.number();
        }
        let upper = name.to_ascii_uppercase();
        if WORDS.contains(&upper.as_str()) {
            return Err(self.found("a property or a value"));
        }
        let start = self.at;
        self.at += name.len();
        self.space();
        match upper.as_str() {
            "TRUE" => Ok(Operand::Truth(true)),
            "FALSE" => Ok(Operand::Truth(false)),
            "TIMESTAMP" | "DATE" if self.sign("(") => {
                let text = self.quoted('\'')?.ok_or_else(|| self.found("a time in quotes"))?;
                self.expect(")")?;
                parse_datetime(&text)
                    .map(Operand::Moment)
                    .ok_or_else(|| format!("has `{text:.60}`, expected a date or RFC 3339 time"))
            }
            _ if self.rest().starts_with('(') => {
                self.at = start;
                Err(self.found("a property or a value: functions are not understood"))
            }
            _ => Ok(Operand::Property(name.to_owned())),
        }
    }

    fn number(&mut self) -> Read<Operand> {
        let rest = self.rest();
        let mut end = 0;
        for (place, letter) in rest.char_indices() {
            let signed = place == 0 || rest[..place].ends_with(['e', 'E']);
            if !(letter.is_ascii_digit()
                || matches!(letter, '.' | 'e' | 'E')
                || (signed && matches!(letter, '+' | '-')))
            {
                break;
            }
            end = place + letter.len_utf8();
        }
        let number = rest[..end].parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| self.found("a property or a value"))?;
        self.at += end;
        self.space();
        Ok(Operand::Number(number))
    }

    /// A text in quotes, where one stands here; a doubled quote stands for one.
    fn quoted(&mut self, quote: char) -> Read<Option<String>> {
        let Some(rest) = self.rest().strip_prefix(quote) else { return Ok(None) };
        let mut text = String::new();
        let mut letters = rest.char_indices().peekable();
        while let Some((place, letter)) = letters.next() {
            if letter != quote {
                text.push(letter);
            } else if letters.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
            } else {
                self.at += quote.len_utf8() + place + quote.len_utf8();
                self.space();
                return Ok(Some(text));
            }
        }
        Err(self.found(&format!("a closing quote {quote}")))
    }
}

fn negated(not: bool, test: Test) -> Test {
    if not { Test::Not(Box::new(test)) } else { test }
}

pub(super) fn write(test: &Test) -> String {
    let joined = |tests: &[Test], word: &str| tests.iter().map(within).collect::<Vec<_>>().join(word);
    match test {
        Test::And(tests) => joined(tests, " AND "),
        Test::Or(tests) => joined(tests, " OR "),
        Test::Not(test) => format!("NOT {}", within(test)),
        Test::Compare(operator, left, right) => format!("{} {} {}", value(left), operator.sign(), value(right)),
        Test::Like(operand, pattern) => format!("{} LIKE {}", value(operand), quote(pattern, '\'')),
        Test::Between(operand, low, high) => format!("{} BETWEEN {} AND {}", value(operand), value(low), value(high)),
        Test::In(operand, list) => {
            format!("{} IN ({})", value(operand), list.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        Test::IsNull(operand) => format!("{} IS NULL", value(operand)),
    }
}

/// A test as part of another.
fn within(test: &Test) -> String {
    match test {
        Test::And(_) | Test::Or(_) | Test::Not(_) => format!("({})", write(test)),
        _ => write(test),
    }
}

fn value(operand: &Operand) -> String {
    match operand {
        Operand::Property(name) => quote(name, '"'),
        Operand::Number(number) => number.to_string(),
        Operand::Text(text) => quote(text, '\''),
        Operand::Truth(truth) => truth.to_string().to_ascii_uppercase(),
        Operand::Moment(at) => format!("TIMESTAMP('{}')", moment(*at)),
    }
}

fn quote(text: &str, mark: char) -> String {
    let doubled = format!("{mark}{mark}");
    format!("{mark}{}{mark}", text.replace(mark, &doubled))
}
