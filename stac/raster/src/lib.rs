//! Fills a GeoBox from a RasterSource and writes COGs; the only crate that knows GDAL.
