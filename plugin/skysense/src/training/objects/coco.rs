//! Objects in the layout of COCO (`instances_*.json`): boxes and polygons in pixels of images.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Told;

#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    #[serde(default)]
    segmentation: serde_json::Value,
    #[serde(default)]
    iscrowd: u8,
}

/// Reads a document. The polygon of an object with a single one is its outline, else its box; a crowd is ignored.
pub(super) fn read(text: &str) -> Result<Vec<Told>, String> {
    let document: Document =
        serde_json::from_str(text).map_err(|error| format!("it is not in the layout of COCO: {error}"))?;
    let images: BTreeMap<i64, String> = document.images.into_iter().map(|image| (image.id, image.file_name)).collect();
    let classes: BTreeMap<i64, String> =
        document.categories.into_iter().map(|category| (category.id, category.name)).collect();
    let one = |(at, annotation): (usize, Annotation)| {
        let lacking = |what: &str, id: i64| format!("annotation {at}: no {what} has the id {id}");
        let image = images.get(&annotation.image_id).ok_or_else(|| lacking("image", annotation.image_id))?;
        let class = classes.get(&annotation.category_id).ok_or_else(|| lacking("category", annotation.category_id))?;
        let [x, y, width, height] = annotation.bbox;
        if !(annotation.bbox.iter().all(|value| value.is_finite()) && width >= 0.0 && height >= 0.0) {
            return Err(format!("annotation {at}: the box {:?} is none", annotation.bbox));
        }
        let polygon = match annotation.segmentation.as_array().map(Vec::as_slice) {
            Some([only]) => serde_json::from_value::<Vec<f64>>(only.clone()).ok(),
            _ => None,
        };
        let ring = match polygon {
            Some(numbers) if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => {
                numbers.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
            }
            _ => vec![[x, y], [x + width, y], [x + width, y + height], [x, y + height]],
        };
        Ok(Told { image: image.clone(), ring, class: class.clone(), ignored: annotation.iscrowd != 0 })
    };
    document.annotations.into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_polygons_and_crowds() {
        let text = r#"{"images": [{"id": 7, "file_name": "a/b.tif", "width": 9, "height": 9}],
            "categories": [{"id": 3, "name": "ship"}],
            "annotations": [
              {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 0},
              {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 4, 4], "segmentation": [[0, 0, 4, 1, 2, 4]]},
              {"id": 3, "image_id": 7, "category_id": 3, "bbox": [0, 0, 4, 4], "segmentation": {"counts": [1]}, "iscrowd": 1}]}"#;
        let told = read(text).unwrap();
        assert_eq!((told[0].image.as_str(), told[0].class.as_str()), ("a/b.tif", "ship"));
        assert_eq!(told[0].ring, [[1.0, 2.0], [4.0, 2.0], [4.0, 6.0], [1.0, 6.0]]);
        assert_eq!(told[1].ring, [[0.0, 0.0], [4.0, 1.0], [2.0, 4.0]]);
        assert!(told[2].ignored && told[2].ring.len() == 4 && !told[1].ignored);
        let fault = |from: &str, to: &str| read(&text.replace(from, to)).unwrap_err();
        assert!(fault("\"category_id\": 3", "\"category_id\": 4").contains("annotation 0: no category has the id 4"));
        assert!(fault("[1, 2, 3, 4]", "[1, 2, -3, 4]").contains("is none"));
        assert!(read("[]").unwrap_err().contains("layout of COCO"));
    }
}
