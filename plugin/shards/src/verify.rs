//! Everything that is wrong with a set.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;

use crate::content::content;
use crate::index::Index;
use crate::manifest::MANIFEST_FILE;
use crate::sums::hex;
use crate::writer::name_of;
use crate::{Part, Result, ShardError, Shards};

/// Something that is wrong, with its file and, where one alone is concerned, its sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// In words.
    pub message: String,
}

/// Reads every file of a set and names all that is wrong: files that lack or that nobody listed, sizes and checksums,
/// samples that are twice there or that the split puts into the other part. `going_on` is asked after each sample.
///
/// # Errors
/// None of the set's own; what `going_on` refuses.
pub fn verify<E>(
    shards: &Shards,
    mut going_on: impl FnMut(usize) -> std::result::Result<(), E>,
) -> std::result::Result<Vec<Problem>, E> {
    let mut problems = Vec::new();
    strangers(shards, &mut problems);
    let split = shards.manifest().header.split;
    let mut names: HashMap<u128, Part> = HashMap::new();
    let mut done = 0;
    for part in Part::ALL {
        let reader = shards.part(part);
        let mut first = 0;
        for listed in shards.manifest().of_part(part) {
            let file = shards.folder().join(&listed.shard.file);
            let numbers = first..first + listed.shard.samples;
            first = numbers.end;
            let mut wrong = |message: String| problems.push(Problem { file: file.clone(), message });
            match fs::metadata(&file).map(|about| about.len()) {
                Err(error) => {
                    wrong(format!("cannot be read: {error}"));
                    continue;
                }
                Ok(size) if size != listed.shard.size => {
                    wrong(format!("has {size} bytes, expected {}", listed.shard.size));
                }
                Ok(_) => match skysense_contract::sha256_file(&file) {
                    Ok(sha256) if sha256 == listed.shard.sha256 => {}
                    Ok(sha256) => wrong(format!("its SHA-256 is {sha256}, expected {}", listed.shard.sha256)),
                    Err(error) => wrong(error.to_string()),
                },
            }
            match shards.index(listed) {
                Ok(_) => {}
                Err(error) => {
                    let file = shards.folder().join(Index::file_of(&listed.shard.file));
                    problems.push(Problem { file, message: error.to_string() });
                    continue;
                }
            }
            for number in numbers {
                let told = sample(&reader, number, part, split, &mut names);
                problems.extend(told.into_iter().map(|message| Problem { file: file.clone(), message }));
                done += 1;
                going_on(done)?;
            }
        }
    }
    Ok(problems)
}

/// What is wrong with a sample.
fn sample(
    reader: &crate::ShardPart,
    number: usize,
    part: Part,
    split: crate::Split,
    names: &mut HashMap<u128, Part>,
) -> Vec<String> {
    let read = || -> Result<_> { Ok((reader.about(number)?, reader.read(number)?)) };
    let (about, batch) = match read() {
        Ok(read) => read,
        Err(ShardError::Damaged { sample: Some(sample), fault, .. }) => {
            return vec![format!("sample {sample}: {fault}")];
        }
        Err(error) => return vec![error.to_string()],
    };
    let name = skysense_edges::sample_name(&about.name[0], &about.name[1]);
    let mut told = Vec::new();
    match batch.row(0) {
        Err(error) => told.push(format!("sample {name}: {error}")),
        Ok(row) => {
            if row.name() != name {
                told.push(format!("sample {name}: it calls itself {}", row.name()));
            }
            let found = content(&row);
            if found != about.content {
                let expected = hex(&about.content);
                told.push(format!("sample {name}: its pixels come to {}, expected {expected}", hex(&found)));
            }
        }
    }
    if split.part(about.bounds) != Some(part) {
        told.push(format!("sample {name}: its footprint {:?} does not belong to {part}", about.bounds));
    }
    if let Some(before) = names.insert(name_of(&about.name[0], &about.name[1]), part) {
        told.push(format!("sample {name}: it is there twice, first in {before}"));
    }
    told
}

/// Files that the manifest does not list.
fn strangers(shards: &Shards, problems: &mut Vec<Problem>) {
    let mut known = BTreeSet::from([MANIFEST_FILE.to_owned()]);
    for listed in &shards.manifest().shards {
        let _new = known.insert(listed.shard.file.clone());
        let _new = known.insert(Index::file_of(&listed.shard.file));
    }
    let entries = fs::read_dir(shards.folder()).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names.into_iter().filter(|name| name.ends_with(".arrow") && !known.contains(name)) {
        let message = "is not in the manifest: a writing was broken off, or it was put there by hand".to_owned();
        problems.push(Problem { file: shards.folder().join(name), message });
    }
}
