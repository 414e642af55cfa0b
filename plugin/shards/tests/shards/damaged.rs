//! Files that are not what was written: told with file and sample, and the others are read all the same.

use std::path::Path;

use skysense_shards::{Exists, Part, Shards, verify};

use crate::support::{names, write};

fn problems(folder: &Path) -> Vec<String> {
    let shards = Shards::open(folder).unwrap();
    let found = verify(&shards, |_| Ok::<(), ()>(())).unwrap();
    found.iter().map(|problem| format!("{}: {}", problem.file.display(), problem.message)).collect()
}

fn change(path: &Path, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_whole_set_has_no_problems() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..13, Exists::Fail);
    assert_eq!(problems(folder.path()), [""; 0]);
}

#[test]
fn an_edited_byte_names_file_and_sample_and_spares_the_others() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..13, Exists::Fail);
    let train = Shards::open(folder.path()).unwrap().part(Part::Train);
    let about = train.about(2).unwrap();
    let path = folder.path().join("train-00000.arrow");
    let place = (about.block.0 + about.block.1 - 200) as usize;
    change(&path, |bytes| bytes[place] ^= 0x10);
    let told = train.read(2).unwrap_err().to_string();
    assert!(told.contains("train-00000.arrow") && told.contains(&about.name[0]) && told.contains("SHA-256"), "{told}");
    for number in (0..train.count()).filter(|number| *number != 2) {
        train.read(number).unwrap();
    }
    let found = problems(folder.path()).join("\n");
    assert!(
        found.contains("train-00000.arrow: its SHA-256") && found.contains(&format!("sample {}@", about.name[0])),
        "{found}"
    );
}

#[test]
fn a_truncated_shard_names_what_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..13, Exists::Fail);
    let train = Shards::open(folder.path()).unwrap().part(Part::Train);
    let (first, last) = (train.about(0).unwrap(), train.about(4).unwrap());
    let path = folder.path().join("train-00000.arrow");
    change(&path, |bytes| bytes.truncate(last.block.0 as usize + 9));
    train.read(0).unwrap();
    let told = train.read(4).unwrap_err().to_string();
    assert!(
        told.contains("train-00000.arrow") && told.contains(&last.name[0]) && told.contains("ends at byte"),
        "{told}"
    );
    change(&path, |bytes| bytes.truncate(first.block.0 as usize));
    assert!(train.read(0).unwrap_err().to_string().contains(&first.name[0]));
    let found = problems(folder.path()).join("\n");
    assert!(found.contains("train-00000.arrow: has ") && found.contains("expected"), "{found}");
}

#[test]
fn files_that_lack_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..13, Exists::Fail);
    let shards = Shards::open(folder.path()).unwrap();
    std::fs::remove_file(folder.path().join("train-00000.arrow")).unwrap();
    let told = shards.part(Part::Train).read(0).unwrap_err().to_string();
    assert!(told.contains("cannot read") && told.contains("train-00000.arrow"), "{told}");
    std::fs::remove_file(folder.path().join("validation-00000.index.arrow")).unwrap();
    std::fs::write(folder.path().join("train-00009.arrow"), "").unwrap();
    let found = problems(folder.path()).join("\n");
    for part in [
        "train-00000.arrow: cannot be read",
        "validation-00000.index.arrow",
        "train-00009.arrow: is not in the manifest",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    std::fs::remove_file(folder.path().join("manifest.json")).unwrap();
    let told = Shards::open(folder.path()).unwrap_err().to_string();
    assert!(told.contains("manifest.json") && told.contains("runs resume"), "{told}");
}

#[test]
fn indexes_and_manifests_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 0..13, Exists::Fail);
    let shards = Shards::open(folder.path()).unwrap();
    std::fs::copy(folder.path().join("train-00001.index.arrow"), folder.path().join("train-00000.index.arrow"))
        .unwrap();
    let told = shards.part(Part::Train).read(0).unwrap_err().to_string();
    assert!(told.contains("train-00000.index.arrow"), "{told}");
    let manifest = folder.path().join("manifest.json");
    for (text, told) in [("{", "manifest.json"), (r#"{"skysense_shards": 2}"#, "is 2, expected 1"), ("{}", "is none")] {
        std::fs::write(&manifest, text).unwrap();
        let error = Shards::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    assert!(Shards::open(&folder.path().join("no")).unwrap_err().to_string().contains("no such folder"));
    assert!(names(folder.path()).contains(&"manifest.json".to_owned()));
}
