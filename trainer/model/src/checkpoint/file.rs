//! A file of weights: its format is told from its bytes, and the weights are found in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::error::{CheckpointError, Result};
use super::names::MODULES;
use super::source::Source;
use super::stored::Stored;
use super::tree::Tree;
use super::{safetensors, torch};

/// Names of containers that hold weights, in the order in which they are looked for. The last ones are asked for by
/// variant only.
const CONTAINERS: &[&str] = &["state_dict", "model", "model_state_dict", "module"];
/// Weights that stand beside others in one file: the names of a variant, as container or prefix.
const VARIANTS: &[(&str, &[&str])] = &[
    ("ema", &["state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "ema"]),
    ("teacher", &["teacher", "teacher_state_dict", "model_teacher"]),
    ("student", &["student", "student_state_dict", "model_student"]),
];
/// What data-parallel training, compilation and classes around a model put before every key.
const AROUND: &[&str] = &["module.", "model.", "_orig_mod."];
/// What averaging by a hook of mmcv puts before a key, whose dots it makes underscores.
const AVERAGED: &str = "ema_";
/// Containers in containers that are gone through.
const DEPTH: usize = 4;

/// The weights of a file, none of them read yet.
#[derive(Debug)]
pub struct WeightFile {
    /// Keys without what containers and parallel training put before them.
    pub(super) tensors: Vec<(String, Stored)>,
    /// How the weights were found.
    pub(super) found: Found,
}

/// How the weights of a file were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Containers that they lie in, from the outside in.
    pub containers: Vec<String>,
    /// Prefixes that all or some keys had and that were taken away.
    pub prefixes: Vec<String>,
    /// Other versions of the weights in the file, which `--variant` takes.
    pub variants: Vec<String>,
    /// Keys that were left out together, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl WeightFile {
    /// Opens a `.pth` or `.safetensors` file, or the index of shards, and finds the weights in it. `variant` is the
    /// version of the weights to take: `ema`, `teacher`, `student`, or the name of a container.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged or of another format; a pickle that holds more than tensors; a variant
    /// that is not there, or several of which none was chosen.
    pub fn open(path: &Path, variant: Option<&str>) -> Result<Self> {
        let source = Source::open(path)?;
        let head = source.bytes(0, source.length().min(16), 16, "a file")?;
        let tree = if head.starts_with(b"PK\x03\x04") {
            torch::archive(&source)?
        } else if head.starts_with(torch::LEGACY) {
            torch::legacy(&source)?
        } else if head.first() == Some(&b'{') {
            safetensors::sharded(&source)?
        } else if head.get(8) == Some(&b'{') {
            safetensors::single(&source)?
        } else {
            return Err(unknown(path, &head));
        };
        choose(path, &tree, variant)
    }

    /// Keys, without what containers and parallel training put before them, and tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.tensors.iter().map(|(key, stored)| (key.as_str(), stored))
    }

    /// How the weights were found.
    pub fn found(&self) -> &Found {
        &self.found
    }
}

fn unknown(path: &Path, head: &[u8]) -> CheckpointError {
    let (found, hint) = match head {
        [] => ("an empty file", "fetch it again"),
        [0x80, ..] => (
            "a bare pickle",
            "files of torch.save are read; save the weights again with torch.save, or as .safetensors",
        ),
        [b'<', ..] => (
            "a page of a web site",
            "the download gave a page in place of the file: fetch it again, perhaps after a login",
        ),
        [0x1f, 0x8b, ..] => ("a gzip file", "unpack it and name the file inside"),
        _ if head.starts_with(b"version https") => ("a pointer of Git LFS", "fetch the file itself: git lfs pull"),
        _ => ("an unknown format", "name the .pth or .safetensors file, or the .safetensors.index.json of shards"),
    };
    CheckpointError::Format {
        path: path.to_path_buf(),
        offset: None,
        found: format!("{found} (it begins with {:02x?})", &head[..head.len().min(8)]),
        expected: "a .pth file of torch.save or a .safetensors file".into(),
        hint,
    }
}

/// Goes down to the dict that holds the weights, and takes prefixes away.
fn choose(path: &Path, tree: &Tree, variant: Option<&str>) -> Result<WeightFile> {
    let mut found = Found::default();
    let mut wanted = variant;
    let mut at = tree;
    for _ in 0..DEPTH {
        let beside = variants(at);
        let asked = wanted.and_then(|name| beside.iter().find(|(known, key)| known == name || key == name));
        let asked = asked.map(|(_, key)| key.as_str()).or_else(|| wanted.filter(|name| at.child(name).is_some()));
        if let Some((name, child)) = asked.and_then(|name| Some((name, at.child(name)?))) {
            found.containers.push(name.into());
            (at, wanted) = (child, None);
            continue;
        }
        // Beside a container, single tensors are counters or states of random numbers.
        let plain = CONTAINERS.iter().find_map(|name| Some((*name, at.child(name).filter(|c| c.tensors(DEPTH) > 0)?)));
        if at.has_tensors() && plain.is_none() && sole(at).is_none() {
            break;
        }
        let next = match (plain, &beside[..]) {
            (Some((name, child)), _) => {
                found.variants.extend(beside.iter().map(|(known, _)| known.clone()));
                Some((name.to_string(), child))
            }
            (None, [(_, key)]) if wanted.is_none() => at.child(key).map(|child| (key.clone(), child)),
            (None, [_, _, ..]) if wanted.is_none() => {
                let known = beside.into_iter().map(|(known, _)| known).collect();
                return Err(CheckpointError::Variant { path: path.to_path_buf(), wanted: None, known });
            }
            _ => None,
        };
        let modules = at.children().iter().any(|(name, child)| MODULES.contains(&name.as_str()) && child.has_tensors());
        let next = next.or_else(|| sole(at).filter(|_| !modules && wanted.is_none()));
        let Some((name, child)) = next else { break };
        found.containers.push(name);
        at = child;
    }
    let mut tensors = Vec::new();
    for (key, child) in at.children() {
        match child {
            Tree::Tensor(stored) => tensors.push((key.clone(), stored.clone())),
            // A dict for each module.
            Tree::Dict(children) if MODULES.contains(&key.as_str()) => {
                tensors.extend(children.iter().filter_map(|(name, child)| match child {
                    Tree::Tensor(stored) => Some((format!("{key}.{name}"), stored.clone())),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    let tensors = strip(path, tensors, wanted, &mut found)?;
    if tensors.is_empty() {
        let names: Vec<_> = at.children().iter().take(12).map(|(name, _)| name.as_str()).collect();
        return Err(CheckpointError::Format {
            path: path.to_path_buf(),
            offset: None,
            found: format!("no tensor; its entries begin with {names:?}"),
            expected: format!("a dict of tensors, bare or under {}", CONTAINERS.join(", ")),
            hint: "name the container that holds the weights with --variant",
        });
    }
    Ok(WeightFile { tensors, found })
}

/// The child of a dict that alone holds tensors, and more of them than the dict itself.
fn sole(tree: &Tree) -> Option<(String, &Tree)> {
    let mut holding =
        tree.children().iter().filter(|(_, child)| matches!(child, Tree::Dict(_)) && child.tensors(DEPTH) > 0);
    let (name, child) = holding.next().filter(|_| holding.next().is_none())?;
    let own = tree.children().iter().filter(|(_, child)| matches!(child, Tree::Tensor(_))).count();
    (child.tensors(DEPTH) > own).then(|| (name.clone(), child))
}

/// The variants among the children of a dict: their name, and the name of the child.
fn variants(tree: &Tree) -> Vec<(String, String)> {
    let of = |(name, keys): &(&str, &[&str])| {
        let key = keys.iter().find(|key| tree.child(key).is_some_and(|child| !child.children().is_empty()))?;
        Some((name.to_string(), key.to_string()))
    };
    VARIANTS.iter().filter_map(of).collect()
}

/// Takes `module.` and the prefixes of variants from the keys; where a variant has a prefix, only its keys are kept.
fn strip(
    path: &Path,
    tensors: Vec<(String, Stored)>,
    wanted: Option<&str>,
    found: &mut Found,
) -> Result<Vec<(String, Stored)>> {
    let names: Vec<(&str, String)> = VARIANTS.iter().map(|(name, _)| (*name, format!("{name}."))).collect();
    let mut stripped: Vec<(Option<&str>, String, Stored)> = Vec::new();
    for (key, stored) in tensors {
        let (mut rest, mut variant) = (key.as_str(), None);
        loop {
            let around = AROUND.iter().find_map(|prefix| Some((*prefix, rest.strip_prefix(prefix)?)));
            if let Some((prefix, after)) = around {
                note(found, prefix);
                rest = after;
            } else if let Some((name, after)) =
                names.iter().find_map(|(name, prefix)| Some((*name, rest.strip_prefix(prefix.as_str())?)))
            {
                variant = Some(name);
                rest = after;
            } else {
                break;
            }
        }
        stripped.push((variant, rest.to_string(), stored));
    }
    averaged(&mut stripped, wanted, found);
    let mut known: Vec<&str> = stripped.iter().filter_map(|entry| entry.0).collect();
    known.sort_unstable();
    known.dedup();
    let there: Vec<String> = known.iter().map(ToString::to_string).chain(found.variants.clone()).collect();
    let fault = || CheckpointError::Variant {
        path: path.to_path_buf(),
        wanted: wanted.map(str::to_string),
        known: if there.is_empty() { vec!["one version".into()] } else { there.clone() },
    };
    let plain = stripped.iter().any(|entry| entry.0.is_none());
    let kept = match (wanted, &known[..]) {
        (Some(wanted), known) if known.contains(&wanted) => Some(wanted),
        (Some(_), _) => return Err(fault()),
        (None, [only]) if !plain => Some(*only),
        (None, [_, ..]) if !plain => return Err(fault()),
        _ => None,
    };
    if let Some(kept) = kept {
        note(found, &format!("{kept}."));
    }
    found.variants.extend(known.iter().filter(|name| Some(**name) != kept).map(ToString::to_string));
    Ok(stripped.into_iter().filter(|entry| entry.0 == kept).map(|(_, key, stored)| (key, stored)).collect())
}

/// Brings the keys of averages that mmcv writes back to those of the weights beside them; where that is not possible without
/// doubt, they are left out.
fn averaged(stripped: &mut Vec<(Option<&str>, String, Stored)>, wanted: Option<&str>, found: &mut Found) {
    const EMA: &str = "ema";
    let is_average = |key: &str| key.starts_with(AVERAGED) && !key.contains('.');
    let mut plain: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (variant, key, _) in stripped.iter() {
        if variant.is_none() && !is_average(key) {
            let mangled = format!("{AVERAGED}{}", key.replace('.', "_"));
            // Two keys that become one give no way back.
            let _entry = plain.entry(mangled).and_modify(|known| *known = None).or_insert_with(|| Some(key.clone()));
        }
    }
    let averages = stripped.iter().filter(|(variant, key, _)| variant.is_none() && is_average(key)).count();
    let weights = plain.len();
    if averages == 0 || weights == 0 {
        return;
    }
    let back = |key: &str| plain.get(key).cloned().flatten();
    let clear = stripped.iter().all(|(variant, key, _)| variant.is_some() || !is_average(key) || back(key).is_some());
    if !clear {
        let why = "which cannot be brought back to the keys beside them";
        found.left.push(format!("{averages} averages, keys {AVERAGED}…, {why}"));
        stripped.retain(|(variant, key, _)| variant.is_some() || !is_average(key));
        return;
    }
    if wanted != Some(EMA) {
        found.variants.push(EMA.into());
        stripped.retain(|(variant, key, _)| variant.is_some() || !is_average(key));
        return;
    }
    // What has no average, such as a buffer, is the same in both versions.
    let have: BTreeSet<String> =
        stripped.iter().filter(|entry| is_average(&entry.1)).filter_map(|entry| back(&entry.1)).collect();
    stripped.retain(|(variant, key, _)| variant.is_some() || !have.contains(key));
    for entry in stripped.iter_mut().filter(|entry| entry.0.is_none()) {
        if let Some(key) = back(&entry.1) {
            entry.1 = key;
        }
        entry.0 = Some(EMA);
    }
}

fn note(found: &mut Found, prefix: &str) {
    if !found.prefixes.iter().any(|known| known == prefix) {
        found.prefixes.push(prefix.into());
    }
}
