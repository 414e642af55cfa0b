//! The map of one period on its way to disk: chips in, blended rows out, one COG for each layer.

use std::path::Path;

use skysense_grid::{ChipGrid, Window};
use skysense_maps::Layer;
use skysense_raster::{Blender, CogInfo, CogWriter, Result, Rows};

/// A map that is being written. Dropped before [`PeriodWriter::finish`], nothing of it is left.
pub(crate) struct PeriodWriter {
    blender: Blender,
    files: Files,
}

struct Files {
    files: Vec<(Layer, CogWriter)>,
    valid: u64,
}

/// A map that was written.
#[derive(Debug)]
pub(crate) struct WrittenMap {
    /// The files, with what they hold.
    pub(crate) files: Vec<(Layer, CogInfo)>,
    /// Number of pixels with data.
    pub(crate) valid: u64,
}

impl PeriodWriter {
    /// Begins the files of a map in a folder that is there.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub(crate) fn create(
        folder: &Path,
        grid: &ChipGrid,
        layers: &[Layer],
        channels: usize,
        threads: usize,
    ) -> Result<Self> {
        let mut files = Vec::with_capacity(layers.len());
        for layer in layers {
            let mut spec = layer.spec(grid.geobox().clone());
            spec.threads = threads;
            files.push((layer.clone(), CogWriter::create(folder.join(format!("{}.tif", layer.name())), spec)?));
        }
        Ok(Self { blender: Blender::new(grid.clone(), channels), files: Files { files, valid: 0 } })
    }

    /// Adds a chip; chips come in row-major order.
    ///
    /// # Errors
    /// A chip out of order or of another shape, and a full disk.
    pub(crate) fn push(&mut self, window: &Window, values: &[f32], valid: &[u8]) -> Result<()> {
        match self.blender.push(window, values, valid)? {
            Some(rows) => self.files.write(&rows),
            None => Ok(()),
        }
    }

    /// Writes the rows that are left and closes the files.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn finish(mut self) -> Result<WrittenMap> {
        self.files.write(&self.blender.finish())?;
        let Files { files, valid } = self.files;
        let files = files.into_iter().map(|(layer, writer)| Ok((layer, writer.finish()?))).collect::<Result<_>>()?;
        Ok(WrittenMap { files, valid })
    }
}

impl Files {
    fn write(&mut self, rows: &Rows) -> Result<()> {
        self.valid += rows.valid.iter().filter(|&&valid| valid != 0).count() as u64;
        self.files.iter_mut().try_for_each(|(layer, writer)| layer.write(writer, rows))
    }
}
