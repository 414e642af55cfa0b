//! A writing that is broken off: by a kill, by a full disk. It goes on from whole shards to the same bytes.

use std::path::Path;
use std::process::{Command, Stdio};

use skysense_shards::{Exists, Outcome, ShardError, Shards};

use crate::support::{all_names, begin, files, names, push, sample, write};

/// The folder that the process writes into that is going to be killed.
const FOLDER: &str = "SKYSENSE_SHARDS_TEST_FOLDER";

/// It stops for ever after 28 samples.
#[test]
#[ignore = "the child of a_killed_writing_goes_on_to_the_same_bytes, which kills it"]
fn writes_until_it_is_killed() {
    let folder = std::env::var_os(FOLDER).expect("started by its parent");
    let mut writer = begin(Path::new(&folder), Exists::Fail, false).unwrap();
    for number in 0..28 {
        push(&mut writer, sample(number));
    }
    std::fs::write(Path::new(&folder).with_extension("ready"), "").unwrap();
    loop {
        std::thread::park();
    }
}

/// Runs the process above, and kills it in the middle of its open shards.
fn killed(folder: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "unfinished::writes_until_it_is_killed", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !folder.with_extension("ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_writing_goes_on_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let (whole, broken) = (place.path().join("whole"), place.path().join("broken"));
    write(&whole, 0..40, Exists::Fail);
    killed(&broken);
    assert!(
        names(&broken).iter().any(|name| name.ends_with(".part")),
        "it was killed in the middle: {:?}",
        names(&broken)
    );
    assert!(Shards::open(&broken).unwrap_err().to_string().contains("runs resume"));
    let told = begin(&broken, Exists::Fail, false).err().unwrap();
    assert!(matches!(told, ShardError::Unfinished { .. }), "{told}");
    let before = files(&broken);
    let mut writer = begin(&broken, Exists::Fail, true).unwrap();
    let kept = writer.found();
    assert!((20..28).contains(&kept), "{kept}");
    let mut known = 0;
    for number in 0..40 {
        known += usize::from(push(&mut writer, sample(number)) == Outcome::Known);
    }
    assert_eq!(known, kept, "what is in whole shards is not written again");
    writer.finish().unwrap();
    let (found, expected) = (files(&broken), files(&whole));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == expected);
    for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with(".index.arrow")) {
        assert_eq!(found[name], *bytes);
    }
    // Going on once more, as after a kill behind the manifest, changes nothing.
    let mut writer = begin(&broken, Exists::Fail, true).unwrap();
    (0..40).for_each(|number| assert_eq!(push(&mut writer, sample(number)), Outcome::Known));
    writer.finish().unwrap();
    assert!(files(&broken) == expected);
}

#[test]
fn another_workflow_does_not_take_a_broken_writing_for_its_own() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("set");
    killed(&folder);
    let writing = skysense_shards::Writing { exists: Exists::Fail, workflow: "other".into(), resumed: true };
    let begun = skysense_shards::ShardWriter::begin(
        &folder,
        &crate::support::header(),
        &writing,
        5,
        skysense_shards::Duplicates::Drop,
    );
    assert!(matches!(begun.err().unwrap(), ShardError::Unfinished { .. }));
    // `append` keeps what is whole, `replace` does not.
    assert!(begin(&folder, Exists::Append, false).unwrap().found() >= 20);
    assert_eq!(begin(&folder, Exists::Replace, false).unwrap().found(), 0);
}

#[test]
fn a_replacement_that_was_broken_off_goes_on_or_leaves_the_old_set() {
    let place = tempfile::tempdir().unwrap();
    let (folder, fresh) = (place.path().join("set"), place.path().join("fresh"));
    write(&folder, 50..61, Exists::Fail);
    let mut writer = begin(&folder, Exists::Replace, false).unwrap();
    for number in 0..17 {
        push(&mut writer, sample(number));
    }
    // As a kill would: without any tidying.
    std::mem::forget(writer);
    let old: Vec<String> = (50..61).map(|number| format!("p{number:04}")).collect();
    assert_eq!(all_names(&folder), old);
    // The lock of the forgotten writer is held by this process: the file is made anew, as after its end.
    std::fs::remove_file(folder.join(".lock")).unwrap();
    let mut writer = begin(&folder, Exists::Replace, true).unwrap();
    assert!(writer.found() >= 10);
    for number in 0..20 {
        push(&mut writer, sample(number));
    }
    assert_eq!(all_names(&folder), old);
    writer.finish().unwrap();
    write(&fresh, 0..20, Exists::Fail);
    assert_eq!(all_names(&folder), all_names(&fresh));
    let listed = Shards::open(&folder).unwrap().manifest().shards.len();
    assert_eq!(names(&folder).len(), 1 + 2 * listed, "{:?}", names(&folder));
}

/// A disk of its own in memory; mounting needs root.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=600k,mode=777", "skysense-test"]).arg(at).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("\n*** SKIPPED: mounting a tmpfs needs root, so a full disk was NOT tried ***\n");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_keeps_whole_shards_and_the_set_that_was_there() {
    let place = tempfile::tempdir().unwrap();
    let mount = place.path().join("small");
    let Some(_disk) = Disk::mount(&mount) else { return };
    let folder = mount.join("set");
    write(&folder, [1, 5, 7], Exists::Fail);
    let before = all_names(&folder);
    let mut writer = begin(&folder, Exists::Append, false).unwrap();
    // Every third sample has 32 KiB of high resolution.
    let error = (10..200).find_map(|number| {
        let row = sample(number);
        let around = crate::support::bounds(&row);
        writer.push(row, around).err()
    });
    let error = error.unwrap();
    let full = matches!(&error, ShardError::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
    assert!(full, "{error}");
    drop(writer);
    assert_eq!(all_names(&folder), before, "the set that was there is still there");
    assert!(!names(&folder).iter().any(|name| name.ends_with(".part")), "{:?}", names(&folder));
    let kept = begin(&folder, Exists::Append, false).unwrap().found();
    assert!(kept > before.len(), "{kept} with those of whole shards");
}
