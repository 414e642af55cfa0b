//! Annotations of objects in XML, as Pascal VOC and its successors have them: elements without attributes that matter.

use std::path::Path;

use crate::error::{Result, content};

/// What stands in each element of a name, outermost ones, in their order.
pub(crate) fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((inside, behind)) = after.split_once(&close) else { break };
        found.push(inside);
        rest = behind;
    }
    found
}

/// The text of the first element of a name.
pub(crate) fn text<'a>(inside: &'a str, name: &str, path: &Path) -> Result<&'a str> {
    let found = elements(inside, name).first().copied().map(str::trim);
    found.ok_or_else(|| content(path, format!("<{name}> in an <object>"), shortened(inside)))
}

/// The number in the first element of a name.
pub(crate) fn number(inside: &str, name: &str, path: &Path) -> Result<f64> {
    let found = text(inside, name, path)?;
    let number = found.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| content(path, format!("a number in <{name}>"), format!("{found:?}")))
}

/// A line of DOTA's text: four corners, a class without spaces, whether it is difficult.
pub(crate) fn line(ring: &[[f64; 2]; 4], class: &str, difficult: bool) -> String {
    let corners: Vec<String> = ring.iter().map(|[x, y]| format!("{x} {y}")).collect();
    let class: Vec<&str> = class.split_whitespace().collect();
    format!("{} {} {}\n", corners.join(" "), class.join("-"), u8::from(difficult))
}

fn shortened(text: &str) -> String {
    let plain: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    plain.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

    use super::*;

    #[test]
    fn elements_in_their_order_and_numbers_that_are_none() {
        let text_of =
            "<a><object><name>ship</name><x>1.5</x></object>\n<object><name> big  hall </name><x>y</x></object></a>";
        let objects = elements(text_of, "object");
        let path = Path::new("a.xml");
        assert_eq!((objects.len(), text(objects[1], "name", path).unwrap()), (2, "big  hall"));
        assert_eq!(number(objects[0], "x", path).unwrap(), 1.5);
        assert!(number(objects[1], "x", path).unwrap_err().to_string().contains("a number in <x>, found \"y\""));
        assert!(text(objects[0], "z", path).unwrap_err().to_string().contains("<z>"));
        assert_eq!(
            line(&[[1.0, 2.0], [3.0, 2.0], [3.0, 4.5], [1.0, 4.5]], " big  hall ", true),
            "1 2 3 2 3 4.5 1 4.5 big-hall 1\n"
        );
    }
}
