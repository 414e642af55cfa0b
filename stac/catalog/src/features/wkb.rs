//! Well-known binary of an outline.

/// A polygon of one ring, little-endian.
pub fn polygon_wkb(corners: &[[f64; 2]; 4]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(13 + 5 * 16);
    bytes.push(1);
    for number in [3_u32, 1, 5] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for corner in corners.iter().chain([&corners[0]]) {
        corner.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    }
    bytes
}

/// West, south, east, north of outlines; `None` of none.
pub fn bounds<'a>(outlines: impl IntoIterator<Item = &'a [[f64; 2]; 4]>) -> Option<[f64; 4]> {
    outlines.into_iter().flatten().fold(None, |found: Option<[f64; 4]>, &[x, y]| {
        let [west, south, east, north] = found.unwrap_or([x, y, x, y]);
        Some([west.min(x), south.min(y), east.max(x), north.max(y)])
    })
}
