//! Writing a package: a temporary folder beside the target, then one rename.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{
    CONTRACT_FILE, Contract, ContractError, DataFile, GraphFile, MLM_FILE, MlmContext, Module, PROBE_FILE, Package,
    Probe, WEIGHTS_FILE, mlm_item, sha256_bytes, sha256_file,
};

/// Writes one package. The same input gives the same bytes; until [`Self::finish`] nothing stands at the
/// target, and what was written is removed when the writer is dropped.
#[derive(Debug)]
pub struct PackageWriter {
    target: PathBuf,
    temporary: PathBuf,
    graphs: BTreeMap<Module, GraphFile>,
    probe: Option<Probe>,
    weights: Option<(String, u64)>,
    shards: Vec<DataFile>,
    done: bool,
}

impl PackageWriter {
    /// Begins a package at `target`, whose parent folders are made.
    ///
    /// # Errors
    /// [`ContractError::Exists`] when something stands there, [`ContractError::Write`] when it cannot be made.
    pub fn new(target: impl AsRef<Path>) -> Result<Self, ContractError> {
        let target = target.as_ref().to_path_buf();
        if target.exists() {
            return Err(ContractError::Exists { path: target });
        }
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = target.with_file_name(name);
        if temporary.exists() {
            fs::remove_dir_all(&temporary)
                .map_err(|source| ContractError::Write { path: temporary.clone(), source })?;
        }
        fs::create_dir_all(&temporary).map_err(|source| ContractError::Write { path: temporary.clone(), source })?;
        Ok(Self {
            target,
            temporary,
            graphs: BTreeMap::new(),
            probe: None,
            weights: None,
            shards: Vec::new(),
            done: false,
        })
    }

    /// Name of the file that holds the constants of a module's graph, where they lie beside it.
    pub fn data_name(module: Module) -> String {
        format!("{module}.onnx.data")
    }

    /// Writes a module's ONNX graph, and the constants that it looks for under [`Self::data_name`].
    ///
    /// # Errors
    /// [`ContractError::Write`].
    pub fn graph(&mut self, module: Module, bytes: &[u8], data: Option<&[u8]>) -> Result<(), ContractError> {
        let path = format!("{module}.onnx");
        self.write(&path, bytes)?;
        let mut graph = GraphFile { path, size: bytes.len() as u64, sha256: sha256_bytes(bytes), data: None };
        if let Some(data) = data {
            let path = Self::data_name(module);
            self.write(&path, data)?;
            graph.data = Some(DataFile { path, size: data.len() as u64, sha256: sha256_bytes(data) });
        }
        self.graphs.insert(module, graph);
        Ok(())
    }

    /// Where a caller may write the constants of a module's graph itself, without holding them in memory;
    /// [`Self::graph_beside`] takes them up.
    pub fn data_path(&self, module: Module) -> PathBuf {
        self.temporary.join(Self::data_name(module))
    }

    /// Writes a module's ONNX graph whose constants stand at [`Self::data_path`] already.
    ///
    /// # Errors
    /// [`ContractError::Write`], or [`ContractError::Read`] when the constants are not there.
    pub fn graph_beside(&mut self, module: Module, bytes: &[u8]) -> Result<(), ContractError> {
        self.graph(module, bytes, None)?;
        let data = self.data_file(Self::data_name(module))?;
        if let Some(graph) = self.graphs.get_mut(&module) {
            graph.data = Some(data);
        }
        Ok(())
    }

    /// Takes a file into the package under its own name: by a link where the file system can, else by a copy. The two must
    /// not be changed afterwards.
    ///
    /// # Errors
    /// [`ContractError::Write`].
    pub fn take(&self, from: &Path) -> Result<String, ContractError> {
        let name = from.file_name().unwrap_or_default();
        let path = self.temporary.join(name);
        // A link to a symbolic link would lead to nowhere from its new folder.
        fs::canonicalize(from)
            .and_then(|file| fs::hard_link(file, &path))
            .or_else(|_| fs::copy(from, &path).map(drop))
            .map_err(|source| ContractError::Write { path, source })?;
        Ok(name.to_string_lossy().into_owned())
    }

    /// The folder in which a caller may write the weights itself; [`Self::weights_written`] takes them up.
    pub fn folder(&self) -> &Path {
        &self.temporary
    }

    /// Takes up weights that stand in [`Self::folder`]: [`WEIGHTS_FILE`] alone, or shards and their list
    /// [`crate::WEIGHTS_INDEX_FILE`], which comes last.
    ///
    /// # Errors
    /// [`ContractError::Read`] when one of them is not there.
    pub fn weights_written(&mut self, names: &[String]) -> Result<(), ContractError> {
        let mut files = names.iter().map(|name| self.data_file(name.clone())).collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = files.pop() {
            self.weights = Some((last.sha256, last.size));
            self.shards = files;
        }
        Ok(())
    }

    fn data_file(&self, name: String) -> Result<DataFile, ContractError> {
        let path = self.temporary.join(&name);
        let about = fs::metadata(&path).map_err(|source| ContractError::Read { path: path.clone(), source })?;
        Ok(DataFile { path: name, size: about.len(), sha256: sha256_file(&path)? })
    }

    /// Writes the weights, a safetensors file.
    ///
    /// # Errors
    /// [`ContractError::Write`].
    pub fn weights(&mut self, bytes: &[u8]) -> Result<(), ContractError> {
        self.write(WEIGHTS_FILE, bytes)?;
        self.weights = Some((sha256_bytes(bytes), bytes.len() as u64));
        self.shards.clear();
        Ok(())
    }

    /// Writes the probe, a safetensors file, with the tolerance that its output must keep.
    ///
    /// # Errors
    /// [`ContractError::Write`].
    pub fn probe(&mut self, bytes: &[u8], absolute: f64, relative: f64) -> Result<(), ContractError> {
        self.write(PROBE_FILE, bytes)?;
        self.probe = Some(Probe { path: PROBE_FILE.into(), sha256: sha256_bytes(bytes), absolute, relative });
        Ok(())
    }

    /// Moves what was written to its place without a contract: graphs and weights for other software.
    ///
    /// # Errors
    /// [`ContractError::Write`].
    pub fn finish_files(mut self) -> Result<(), ContractError> {
        fs::rename(&self.temporary, &self.target)
            .map_err(|source| ContractError::Write { path: self.target.clone(), source })?;
        self.done = true;
        Ok(())
    }

    /// Writes contract and STAC item and moves the package to its place. Graphs, probe and checksums in
    /// `contract` are replaced by those of the files written.
    ///
    /// # Errors
    /// [`ContractError::Lacks`] when weights or probe were not written, [`ContractError::Invalid`] when the
    /// contract contradicts itself, [`ContractError::Write`].
    pub fn finish(mut self, mut contract: Contract, context: &MlmContext) -> Result<Package, ContractError> {
        let lacks = |what: &str| ContractError::Lacks { model: contract.name.clone(), what: what.into() };
        let (weights_sha256, weights_size) = self.weights.clone().ok_or_else(|| lacks("weights"))?;
        let probe = self.probe.clone().ok_or_else(|| lacks("probe"))?;
        (contract.weights_sha256, contract.probe) = (weights_sha256, probe);
        (contract.graphs, contract.weights_shards) = (self.graphs.clone(), self.shards.clone());
        let faults = contract.faults();
        if !faults.is_empty() {
            return Err(ContractError::Invalid { path: self.target.join(CONTRACT_FILE), faults });
        }
        let yaml = serde_yaml::to_string(&contract).map_err(|error| ContractError::Parse {
            path: self.target.join(CONTRACT_FILE),
            message: error.to_string(),
        })?;
        self.write(CONTRACT_FILE, yaml.as_bytes())?;
        let item = format!("{:#}\n", mlm_item(&contract, weights_size, context));
        self.write(MLM_FILE, item.as_bytes())?;
        let place = |source| ContractError::Write { path: self.target.clone(), source };
        fs::rename(&self.temporary, &self.target).map_err(place)?;
        self.done = true;
        Package::open(&self.target)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ContractError> {
        let path = self.temporary.join(name);
        let write = || {
            let mut file = fs::File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| ContractError::Write { path: path.clone(), source })
    }
}

impl Drop for PackageWriter {
    fn drop(&mut self) {
        if !self.done {
            // Nothing more can be done about a folder that will not go; the error that led here is reported.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::tests::sample;

    #[test]
    fn an_unfinished_package_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PackageWriter::new(folder.path().join("model")).unwrap();
        writer.weights(b"weights").unwrap();
        let error = writer.finish(sample(), &MlmContext::default()).unwrap_err();
        assert!(matches!(error, ContractError::Lacks { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(PackageWriter::new(folder.path()), Err(ContractError::Exists { .. })));
    }
}
