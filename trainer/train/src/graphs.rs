//! Graphs of modules into a package: in one piece, or with the weights beside where there are many.

use burn::module::Module;
use skysense_contract::{Dtype, Input, Modality, Module as Part, PackageWriter};
use skysense_model::{
    DetectorNetwork, Fusion, GeoContext, Normalisation, PixelEncoder, PixelType, SwinV2, UpHead, Vit, export_dense,
    export_dense_beside, export_fusion, export_fusion_beside, export_geo_context, export_geo_context_beside, export_hr,
    export_hr_beside, export_pixels, export_pixels_beside, export_regions, export_series, export_series_beside,
    export_vit, export_vit_beside,
};

use crate::TrainError;

/// Bytes of weights up to which a graph holds them. A protobuf message ends at 2 GiB; half of that leaves room for
/// what a runtime adds, and keeps the copies small that are made while a graph is put together.
pub(crate) const INSIDE: u64 = 1 << 30;

/// Bytes of weights in one file of a package: below what file systems and servers still split.
pub(crate) const SHARD: u64 = 2_000_000_000;

/// Where the graphs of a package go, and how large they may be.
pub(crate) struct Graphs<'a> {
    pub(crate) writer: &'a mut PackageWriter,
    /// Bytes of weights up to which a graph holds them.
    pub(crate) inside: u64,
    pub(crate) chip_size: usize,
}

impl Graphs<'_> {
    /// The graph of the high-resolution encoder.
    pub(crate) fn hr(&mut self, backbone: &SwinV2, input: &Input) -> Result<(), TrainError> {
        let (normalisation, pixels, size) = self.input(input);
        if self.fits(skysense_model::cost::parameters::swin_v2(backbone.config())) {
            let graph = export_hr(backbone, &normalisation, pixels, size);
            return Ok(self.writer.graph(Part::Hr, &graph, None)?);
        }
        let data = self.writer.data_path(Part::Hr);
        let graph = export_hr_beside(backbone, &normalisation, pixels, size, &data)?;
        Ok(self.writer.graph_beside(Part::Hr, &graph)?)
    }

    /// The graph of the high-resolution encoder with the pyramid that brings its stages to the image's own pixels.
    pub(crate) fn pixels(&mut self, encoder: &PixelEncoder, input: &Input) -> Result<(), TrainError> {
        let (normalisation, pixels, size) = self.input(input);
        if self.fits(encoder.num_params()) {
            let graph = export_pixels(encoder, &normalisation, pixels, size);
            return Ok(self.writer.graph(Part::Hr, &graph, None)?);
        }
        let data = self.writer.data_path(Part::Hr);
        let graph = export_pixels_beside(encoder, &normalisation, pixels, size, &data)?;
        Ok(self.writer.graph_beside(Part::Hr, &graph)?)
    }

    /// The graph of a series encoder and its up head.
    pub(crate) fn series(
        &mut self,
        modality: Modality,
        backbone: &Vit,
        head: &UpHead,
        input: &Input,
    ) -> Result<(), TrainError> {
        let (normalisation, pixels, size) = self.input(input);
        let up = backbone.config().channels * head.channels() * head.scale().pow(2);
        if self.fits(skysense_model::cost::parameters::vit(backbone.config()) + up) {
            let graph = export_series(backbone, head, &normalisation, pixels, size);
            return Ok(self.writer.graph(Part::from(modality), &graph, None)?);
        }
        let data = self.writer.data_path(Part::from(modality));
        let graph = export_series_beside((backbone, head), &normalisation, pixels, size, &data)?;
        Ok(self.writer.graph_beside(Part::from(modality), &graph)?)
    }

    /// The graph of a series encoder without an up head.
    pub(crate) fn vit(&mut self, modality: Modality, backbone: &Vit, input: &Input) -> Result<(), TrainError> {
        let (normalisation, pixels, size) = self.input(input);
        if self.fits(skysense_model::cost::parameters::vit(backbone.config())) {
            let graph = export_vit(backbone, &normalisation, pixels, size);
            return Ok(self.writer.graph(Part::from(modality), &graph, None)?);
        }
        let data = self.writer.data_path(Part::from(modality));
        let graph = export_vit_beside(backbone, &normalisation, pixels, size, &data)?;
        Ok(self.writer.graph_beside(Part::from(modality), &graph)?)
    }

    /// The graphs of a detector: the dense part, and the second stage.
    pub(crate) fn detector(&mut self, network: &DetectorNetwork, input: &Input) -> Result<(), TrainError> {
        let (normalisation, pixels, size) = self.input(input);
        self.writer.graph(Part::Head, &export_regions(network), None)?;
        // All parameters, although those of the second stage do not stand in it.
        if self.fits(network.num_params()) {
            let graph = export_dense(network, &normalisation, pixels, size);
            return Ok(self.writer.graph(Part::Hr, &graph, None)?);
        }
        let data = self.writer.data_path(Part::Hr);
        let graph = export_dense_beside(network, &normalisation, pixels, size, &data)?;
        Ok(self.writer.graph_beside(Part::Hr, &graph)?)
    }

    /// The graph of the fusion.
    pub(crate) fn fusion(&mut self, fusion: &Fusion) -> Result<(), TrainError> {
        let size = [self.chip_size; 2];
        if self.fits(skysense_model::cost::parameters::fusion(fusion.config())) {
            return Ok(self.writer.graph(Part::Fusion, &export_fusion(fusion, size), None)?);
        }
        let data = self.writer.data_path(Part::Fusion);
        let graph = export_fusion_beside(fusion, size, &data)?;
        Ok(self.writer.graph_beside(Part::Fusion, &graph)?)
    }

    /// The graph of the prototypes.
    pub(crate) fn geo_context(&mut self, context: &GeoContext) -> Result<(), TrainError> {
        let size = [self.chip_size; 2];
        if self.fits(skysense_model::cost::parameters::geo_context(&context.config())) {
            return Ok(self.writer.graph(Part::GeoContext, &export_geo_context(context, size), None)?);
        }
        let data = self.writer.data_path(Part::GeoContext);
        let graph = export_geo_context_beside(context, size, &data)?;
        Ok(self.writer.graph_beside(Part::GeoContext, &graph)?)
    }

    fn fits(&self, parameters: usize) -> bool {
        4 * parameters as u64 <= self.inside
    }

    fn input(&self, input: &Input) -> (Normalisation, PixelType, [usize; 2]) {
        let normalisation = Normalisation { mean: input.mean.clone(), std: input.std.clone() };
        let pixels = match input.dtype {
            Dtype::U8 => PixelType::U8,
            Dtype::I16 => PixelType::I16,
            Dtype::F32 => PixelType::F32,
        };
        (normalisation, pixels, [self.chip_size * input.scale; 2])
    }
}
