//! A package on disk, opened and checked.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{CONTRACT_VERSION, Contract, ContractError, DataFile, MlmContext, Module, mlm_item, sha256_file};

/// Name of the contract's file.
pub const CONTRACT_FILE: &str = "model.yaml";
/// Name of the weights' file.
pub const WEIGHTS_FILE: &str = "weights.safetensors";
/// Name of the list of shards, in place of [`WEIGHTS_FILE`] where the weights are above 2 GB.
pub const WEIGHTS_INDEX_FILE: &str = "weights.safetensors.index.json";
/// Name that training gives the probe; the contract names it too.
pub const PROBE_FILE: &str = "probe.safetensors";
/// Name of the STAC item of the model.
pub const MLM_FILE: &str = "mlm.json";
/// What an evaluation of the package's maps found, where one was put beside its weights. The contract does not ask for it.
pub const EVALUATION_FILE: &str = "evaluation.json";

/// A model package: its folder and its contract, which is sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    folder: PathBuf,
    contract: Contract,
}

impl Package {
    /// Opens a package: reads `model.yaml` (`path` is the folder or that file), checks its version, its rules,
    /// and that every file it names is there with the right size. No checksum is computed, see [`Self::verify`].
    ///
    /// # Errors
    /// [`ContractError`] with the file, what was found and what was expected.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ContractError> {
        let package = Self::read(path)?;
        package.check_files()?;
        Ok(package)
    }

    /// As [`Self::open`], and looks at no file but `model.yaml`: for [`Self::damage`], which names all that is wrong.
    ///
    /// # Errors
    /// A contract that cannot be read or contradicts itself.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ContractError> {
        let path = path.as_ref();
        let folder = if path.is_file() { path.parent().unwrap_or(Path::new(".")) } else { path }.to_path_buf();
        let file = folder.join(CONTRACT_FILE);
        let text = fs::read_to_string(&file).map_err(|source| ContractError::Read { path: file.clone(), source })?;
        let contract = parse(&text, &file)?;
        Ok(Self { folder, contract })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Path of a module's graph.
    ///
    /// # Errors
    /// [`ContractError::Lacks`] when the package has no such module.
    pub fn graph(&self, module: Module) -> Result<PathBuf, ContractError> {
        let graph = self.contract.graphs.get(&module).ok_or_else(|| ContractError::Lacks {
            model: self.contract.name.clone(),
            what: format!("{module} graph; export the model with it"),
        })?;
        Ok(self.folder.join(&graph.path))
    }

    /// Path of the weights, or of the list of their shards.
    pub fn weights(&self) -> PathBuf {
        self.folder.join(self.weights_name())
    }

    /// Path of the file that holds one of the weights: the only one, or its shard.
    ///
    /// # Errors
    /// A list of shards that cannot be read, or that does not name it.
    pub fn weights_of(&self, key: &str) -> Result<PathBuf, ContractError> {
        let path = self.weights();
        if self.contract.weights_shards.is_empty() {
            return Ok(path);
        }
        let text = fs::read(&path).map_err(|source| ContractError::Read { path: path.clone(), source })?;
        let list: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| ContractError::Parse { path: path.clone(), message: error.to_string() })?;
        let shards = &self.contract.weights_shards;
        let named = list["weight_map"][key].as_str().and_then(|name| shards.iter().find(|shard| shard.path == name));
        named.map(|shard| self.folder.join(&shard.path)).ok_or_else(|| ContractError::Lacks {
            model: self.contract.name.clone(),
            what: format!("{key} among the shards of its weights; copy the package again"),
        })
    }

    fn weights_name(&self) -> &'static str {
        if self.contract.weights_shards.is_empty() { WEIGHTS_FILE } else { WEIGHTS_INDEX_FILE }
    }

    /// Bytes of graphs and weights.
    pub fn bytes(&self) -> u64 {
        let weights = fs::metadata(self.weights()).map_or(0, |about| about.len());
        self.sized_files().map(|(_, size, _)| size).sum::<u64>() + weights
    }

    /// Path of the probe.
    pub fn probe(&self) -> PathBuf {
        self.folder.join(&self.contract.probe.path)
    }

    /// Compares the SHA-256 of weights, graphs and probe with the contract. Reads every byte.
    ///
    /// # Errors
    /// [`ContractError::Checksum`] with the first file that differs.
    pub fn verify(&self) -> Result<(), ContractError> {
        self.sums().try_for_each(|(name, expected)| self.check_sum(name, expected))
    }

    /// Everything that is wrong with the files: lacking ones, other sizes, other checksums, and a STAC item whose assets
    /// are not these. Reads every byte; empty where all is sound.
    pub fn damage(&self) -> Vec<ContractError> {
        let sizes: Vec<_> = self.sized_files().map(|(name, size, _)| (name, size)).collect();
        let of = |(name, expected): (&str, &String)| {
            let path = self.folder.join(name);
            let stated = sizes.iter().find(|(other, _)| *other == name).map(|(_, size)| *size);
            match (size(&path), stated) {
                (Err(error), _) => Some(error),
                (Ok(found), Some(expected)) if found != expected => Some(ContractError::Size { path, found, expected }),
                _ => self.check_sum(name, expected).err(),
            }
        };
        self.sums().filter_map(of).chain(self.check_item()).collect()
    }

    fn check_sum(&self, name: &str, expected: &String) -> Result<(), ContractError> {
        let path = self.folder.join(name);
        let found = sha256_file(&path)?;
        if found == *expected {
            Ok(())
        } else {
            Err(ContractError::Checksum { path, found, expected: expected.clone() })
        }
    }

    /// Whether the STAC item names the files that the contract names, with the same checksums.
    fn check_item(&self) -> Option<ContractError> {
        let path = self.folder.join(MLM_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Some(ContractError::Read { path, source }),
        };
        let item: serde_json::Value = match serde_json::from_str(&text) {
            Ok(item) => item,
            Err(error) => return Some(ContractError::Parse { path, message: error.to_string() }),
        };
        let weights = size(&self.weights()).ok()?;
        let expected = mlm_item(&self.contract, weights, &MlmContext::default());
        let sums = |item: &serde_json::Value| -> Vec<(String, String)> {
            let assets = item["assets"].as_object().into_iter().flatten();
            assets.map(|(name, asset)| (name.clone(), asset["file:checksum"].to_string())).collect()
        };
        let found = sums(&item);
        let other = sums(&expected).into_iter().find(|asset| !found.contains(asset))?;
        let lacks = !found.iter().any(|(name, _)| *name == other.0);
        let what = if lacks { "is lacking".into() } else { format!("has another checksum than {CONTRACT_FILE} says") };
        let message = format!("its asset {} {what}", other.0);
        Some(ContractError::Parse { path, message })
    }

    /// Name and checksum of every file that has one, each once.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&str, &String)> {
        let contract = &self.contract;
        let graphs = self.sized_files().map(|(path, _, sum)| (path, sum));
        let others =
            [(contract.probe.path.as_str(), &contract.probe.sha256), (self.weights_name(), &contract.weights_sha256)];
        graphs.chain(others)
    }

    /// Path, size and checksum of every graph, of the constants beside it, and of every shard of the weights.
    pub(crate) fn sized_files(&self) -> impl Iterator<Item = (&str, u64, &String)> {
        fn of(data: &DataFile) -> (&str, u64, &String) {
            (data.path.as_str(), data.size, &data.sha256)
        }
        let graphs = self.contract.graphs.values().flat_map(|graph| {
            std::iter::once((graph.path.as_str(), graph.size, &graph.sha256)).chain(graph.data.iter().map(of))
        });
        graphs.chain(self.contract.weights_shards.iter().map(of))
    }

    fn check_files(&self) -> Result<(), ContractError> {
        for (path, expected, _) in self.sized_files() {
            let path = self.folder.join(path);
            let found = size(&path)?;
            if found != expected {
                return Err(ContractError::Size { path, found, expected });
            }
        }
        size(&self.weights())?;
        size(&self.probe()).map(drop)
    }
}

fn size(path: &Path) -> Result<u64, ContractError> {
    let about = fs::metadata(path).map_err(|source| ContractError::Read { path: path.to_path_buf(), source })?;
    Ok(about.len())
}

/// The version stands in every layout, so it is looked at before the rest has a chance to be misunderstood.
#[derive(serde::Deserialize)]
struct Version {
    contract: u32,
}

fn parse(text: &str, file: &Path) -> Result<Contract, ContractError> {
    let path = file.to_path_buf();
    let fault = |message: String| ContractError::Parse { path: path.clone(), message };
    let version: Version = serde_yaml::from_str(text).map_err(|error| fault(error.to_string()))?;
    if version.contract != CONTRACT_VERSION {
        return Err(ContractError::Version { path, found: version.contract, expected: CONTRACT_VERSION });
    }
    let contract: Contract = serde_yaml::from_str(text).map_err(|error| fault(error.to_string()))?;
    let faults = contract.faults();
    if faults.is_empty() { Ok(contract) } else { Err(ContractError::Invalid { path, faults }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackageWriter;
    use crate::contract::tests::sample;

    fn written(folder: &Path) -> Package {
        let mut writer = PackageWriter::new(folder).unwrap();
        for module in [Module::S2, Module::Fusion, Module::Head] {
            let data = (module == Module::Fusion).then_some(b"constants".as_slice());
            writer.graph(module, module.name().as_bytes(), data).unwrap();
        }
        writer.weights(b"weights").unwrap();
        writer.probe(b"probe", 1e-4, 1e-4).unwrap();
        writer.finish(sample(), &crate::MlmContext::default()).unwrap()
    }

    #[test]
    fn a_written_package_opens_and_holds() {
        let folder = tempfile::tempdir().unwrap();
        let package = written(&folder.path().join("model"));
        package.verify().unwrap();
        assert_eq!(Package::open(package.folder().join(CONTRACT_FILE)).unwrap(), package);
        assert!(package.graph(Module::Hr).unwrap_err().to_string().contains("has no hr graph"));
    }

    #[test]
    fn writing_twice_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        written(&a);
        written(&b);
        let mut names: Vec<_> = fs::read_dir(&a).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 8, "{names:?}");
        for name in names {
            assert_eq!(fs::read(a.join(&name)).unwrap(), fs::read(b.join(&name)).unwrap(), "{name:?}");
        }
    }

    #[test]
    fn damage_is_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let package = written(&path);
        fs::write(path.join("fusion.onnx.data"), b"CONSTANTS").unwrap();
        assert!(package.verify().unwrap_err().to_string().contains("fusion.onnx.data has SHA-256"));
        fs::write(path.join("fusion.onnx.data"), b"constants").unwrap();
        fs::write(path.join("s2.onnx"), b"S2").unwrap();
        assert!(package.verify().unwrap_err().to_string().contains("s2.onnx has SHA-256"));
        fs::write(path.join("s2.onnx"), b"s").unwrap();
        let error = Package::open(&path).unwrap_err().to_string();
        assert!(error.contains("s2.onnx has 1 bytes, the contract says 2"), "{error}");
        fs::remove_file(path.join("s2.onnx")).unwrap();
        assert!(Package::open(&path).unwrap_err().to_string().contains("cannot read"));
    }

    #[test]
    fn all_damage_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let package = written(&path);
        assert!(package.damage().is_empty(), "{:?}", package.damage());
        fs::write(path.join("fusion.onnx.data"), b"CONSTANTS").unwrap();
        fs::write(path.join("s2.onnx"), b"s").unwrap();
        fs::remove_file(path.join("weights.safetensors")).unwrap();
        fs::write(path.join("mlm.json"), b"{}").unwrap();
        let found: Vec<String> = Package::read(&path).unwrap().damage().iter().map(ToString::to_string).collect();
        let parts = ["s2.onnx has 1 bytes", "fusion.onnx.data has SHA-256", "cannot read"];
        assert!(parts.iter().all(|part| found.iter().any(|line| line.contains(part))), "{found:?}");
        fs::write(path.join("weights.safetensors"), b"weights").unwrap();
        let found: Vec<String> = package.damage().iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|line| line.contains("mlm.json") && line.contains("asset")), "{found:?}");
    }

    #[test]
    fn a_wrong_contract_is_refused_with_its_place() {
        let file = Path::new("model.yaml");
        let version = parse("contract: 7\nname: x\n", file).unwrap_err().to_string();
        assert!(version.contains("version 7, this program reads version 1"), "{version}");
        let broken = parse("contract: 1\nname: [\n", file).unwrap_err();
        assert!(matches!(broken, ContractError::Parse { .. }), "{broken}");
        let text = serde_yaml::to_string(&sample()).unwrap().replace("chip_size: 16", "chip_size: many");
        let typed = parse(&text, file).unwrap_err().to_string();
        assert!(typed.contains("line"), "{typed}");
    }

    #[test]
    fn a_missing_folder_is_said_plainly() {
        let error = Package::open("no/such/model").unwrap_err().to_string();
        assert!(error.contains("no/such/model/model.yaml"), "{error}");
    }
}
