//! Objects in the layout of DOTA's `labelTxt`: `x1 y1 x2 y2 x3 y3 x4 y4 class difficult`, a line each, for one image.

use super::Told;

/// Reads the text of an image. What is difficult is ignored, as in DOTA's evaluation.
pub(super) fn read(text: &str, image: &str) -> Result<Vec<Told>, String> {
    let mut told = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        // The first lines may say where the image is from, and its scale.
        if line.is_empty() || line.starts_with("imagesource:") || line.starts_with("gsd:") {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let fault = || format!("line {}: {line:?} is not eight numbers, a class and 0 or 1", at + 1);
        let numbers: Vec<f64> = words.iter().take(8).filter_map(|word| word.parse().ok()).collect();
        let (class, difficult) = match words.get(8..) {
            Some([class]) => (*class, "0"),
            Some([class, difficult]) => (*class, *difficult),
            _ => return Err(fault()),
        };
        if numbers.len() != 8 || numbers.iter().any(|value| !value.is_finite()) || !["0", "1", "2"].contains(&difficult)
        {
            return Err(fault());
        }
        told.push(Told {
            image: image.to_owned(),
            ring: numbers.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect(),
            class: class.to_owned(),
            ignored: difficult != "0",
        });
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_objects() {
        let text = "imagesource:GoogleEarth\ngsd:0.5\n1 2 3 2 3 4 1.5 4 ship 0\n\n1 2 3 2 3 4 1 4 large-vehicle 1\n";
        let told = read(text, "P0001").unwrap();
        assert_eq!((told.len(), told[0].image.as_str(), told[1].class.as_str()), (2, "P0001", "large-vehicle"));
        assert_eq!(told[0].ring, [[1.0, 2.0], [3.0, 2.0], [3.0, 4.0], [1.5, 4.0]]);
        assert_eq!((told[0].ignored, told[1].ignored), (false, true));
        for wrong in ["1 2 3 2 3 4 1 ship 0", "1 2 3 2 3 4 1 x ship 0", "1 2 3 2 3 4 1 4 ship 9", "1 2 3 2 3 4 1 4"] {
            assert!(read(wrong, "a").unwrap_err().contains("line 1"), "{wrong}");
        }
    }
}
