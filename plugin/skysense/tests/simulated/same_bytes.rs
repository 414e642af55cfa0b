//! The same bytes, whatever runs at once.

use serde_json::json;

use crate::bench::{Way, scene, write};
use crate::harness::Bench;

#[test]
fn neither_threads_nor_batch_size_change_a_byte_of_cog_or_item() {
    let folder = tempfile::tempdir().unwrap();
    let mut first: Option<Vec<(String, Vec<u8>)>> = None;
    for (threads, batch) in [(1, 1), (2, 4), (4, 8), (4, 1), (1, 8)] {
        let bench = Bench::new(threads, scene());
        let way = Way::of(scene());
        let mut model = way.model.clone();
        model["batch"] = json!(batch);
        let made = Way { model, ..way }.run(&bench).unwrap();
        let out = folder.path().join(format!("{threads}-{batch}"));
        write(&bench, &made, &out, &json!({"outputs": ["class", "probability", "entropy"]})).unwrap();
        let files = ["collection.json", "land-cover-all/land-cover-all.json", "land-cover-all/class.tif"]
            .into_iter()
            .chain(["land-cover-all/probability.tif", "land-cover-all/entropy.tif"])
            .map(|name| (name.to_owned(), std::fs::read(out.join(name)).unwrap()))
            .collect::<Vec<_>>();
        match &first {
            None => first = Some(files),
            Some(first) => {
                for ((name, found), (_, expected)) in files.iter().zip(first) {
                    assert!(found == expected, "{name} differs with {threads} threads and batches of {batch}");
                }
            }
        }
    }
}
