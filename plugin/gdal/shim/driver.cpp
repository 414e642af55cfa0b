// What GDAL's classes want in C++: a dataset, a band and a driver that pass everything on to Rust, and let no exception out.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "gdal_priv.h"
#include "ogr_spatialref.h"

#ifndef BANDMAP_TYPE
#define BANDMAP_TYPE int *
#endif

extern "C" {
// Filled and read by Rust (src/dataset.rs), field by field the same.
struct SkysenseShape {
  int width, height, bands, type, block, levels;
  double transform[6];
};
struct SkysenseBand {
  int has_nodata, has_scale;
  double nodata, scale, offset;
  GDALColorTableH colours;
  char **categories;
};

int skysense_identify(const char *name);
// Null after an error that was told.
void *skysense_open(const char *name, char **options);
void skysense_shape(const void *map, SkysenseShape *shape);
void skysense_describe(const void *map, GDALDatasetH dataset);
// Bands from `band` on, as they are stored, `[band, height, width]`; lines `stride` pixels apart.
CPLErr skysense_read(const void *map, int level, int band, int bands, int x, int y, int width, int height, void *out,
                     size_t stride, GDALProgressFunc progress, void *argument);
// Whether so large a window may be read to be made smaller.
CPLErr skysense_may_reduce(const void *map, int level, int x, int y, int width, int height);
void skysense_close(void *map);
}

namespace {

template <class F> CPLErr guarded(F body) {
  try {
    return body();
  } catch (const std::exception &error) {
    CPLError(CE_Failure, CPLE_AppDefined, "SKYSENSE: %s", error.what());
  } catch (...) {
    CPLError(CE_Failure, CPLE_AppDefined, "SKYSENSE: an exception of unknown kind");
  }
  return CE_Failure;
}

class Dataset;

class Band final : public GDALRasterBand {
public:
  Band(Dataset *dataset, int number, int level, const SkysenseShape &shape);

  int level;
  SkysenseBand about{};
  std::unique_ptr<GDALColorTable> colours;
  CPLStringList categories;
  std::vector<std::unique_ptr<Band>> overviews;

  double GetNoDataValue(int *ok) override {
    if (ok) *ok = about.has_nodata;
    return about.nodata;
  }
  double GetScale(int *ok) override {
    if (ok) *ok = about.has_scale;
    return about.has_scale ? about.scale : 1.0;
  }
  double GetOffset(int *ok) override {
    if (ok) *ok = about.has_scale;
    return about.offset;
  }
  GDALColorTable *GetColorTable() override { return colours.get(); }
  GDALColorInterp GetColorInterpretation() override { return colours ? GCI_PaletteIndex : nBand == 1 ? GCI_GrayIndex : GCI_Undefined; }
  char **GetCategoryNames() override { return categories.List(); }
  int GetOverviewCount() override { return static_cast<int>(overviews.size()); }
  GDALRasterBand *GetOverview(int at) override {
    return at >= 0 && at < GetOverviewCount() ? overviews[at].get() : nullptr;
  }

protected:
  CPLErr IReadBlock(int column, int row, void *out) override;
  CPLErr IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *out, int out_width, int out_height,
                   GDALDataType type, GSpacing pixel, GSpacing line, GDALRasterIOExtraArg *more) override;
};

class Dataset final : public GDALDataset {
public:
  void *map;
  SkysenseShape shape{};
  OGRSpatialReference reference;

  explicit Dataset(void *opened) : map(opened) {
    skysense_shape(map, &shape);
    nRasterXSize = shape.width;
    nRasterYSize = shape.height;
    eAccess = GA_ReadOnly;
    reference.SetAxisMappingStrategy(OAMS_TRADITIONAL_GIS_ORDER);
    for (int number = 1; number <= shape.bands; number++) {
      auto band = new Band(this, number, 0, shape);
      SetBand(number, band);
      for (int level = 1; level <= shape.levels; level++)
        band->overviews.emplace_back(new Band(this, number, level, shape));
    }
  }
  ~Dataset() override { skysense_close(map); }

#if GDAL_VERSION_NUM >= GDAL_COMPUTE_VERSION(3, 12, 0)
  CPLErr GetGeoTransform(GDALGeoTransform &transform) const override {
    transform = GDALGeoTransform(shape.transform);
    return CE_None;
  }
#else
  CPLErr GetGeoTransform(double *transform) override {
    std::copy_n(shape.transform, 6, transform);
    return CE_None;
  }
#endif
  const OGRSpatialReference *GetSpatialRef() const override { return reference.IsEmpty() ? nullptr : &reference; }

protected:
  // Several bands at once are made of the same chips.
  CPLErr IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *out, int out_width, int out_height,
                   GDALDataType type, int count, BANDMAP_TYPE bands, GSpacing pixel, GSpacing line, GSpacing next,
                   GDALRasterIOExtraArg *more) override {
    bool all = count == shape.bands && count > 1 && flag == GF_Read && width == out_width && height == out_height;
    for (int at = 0; all && at < count; at++) all = bands[at] == at + 1;
    if (!all)
      return GDALDataset::IRasterIO(flag, x, y, width, height, out, out_width, out_height, type, count, bands, pixel,
                                    line, next, more);
    return guarded([&] {
      const auto stored = static_cast<GDALDataType>(shape.type);
      const size_t bytes = GDALGetDataTypeSizeBytes(stored), area = static_cast<size_t>(width) * height;
      std::unique_ptr<void, decltype(&VSIFree)> whole(VSI_MALLOC3_VERBOSE(bytes, area, count), VSIFree);
      if (!whole) return CE_Failure;
      if (skysense_read(map, 0, 0, count, x, y, width, height, whole.get(), width, more->pfnProgress,
                        more->pProgressData) != CE_None)
        return CE_Failure;
      for (int at = 0; at < count; at++)
        for (int row = 0; row < height; row++)
          GDALCopyWords(static_cast<GByte *>(whole.get()) + bytes * (at * area + static_cast<size_t>(row) * width),
                        stored, static_cast<int>(bytes), static_cast<GByte *>(out) + at * next + row * line, type,
                        static_cast<int>(pixel), width);
      return CE_None;
    });
  }
};

Band::Band(Dataset *dataset, int number, int at, const SkysenseShape &shape) : level(at) {
  poDS = dataset;
  nBand = number;
  eAccess = GA_ReadOnly;
  eDataType = static_cast<GDALDataType>(shape.type);
  const int factor = 1 << level;
  nRasterXSize = (shape.width + factor - 1) / factor;
  nRasterYSize = (shape.height + factor - 1) / factor;
  nBlockXSize = std::min(shape.block, nRasterXSize);
  nBlockYSize = std::min(shape.block, nRasterYSize);
}

CPLErr Band::IReadBlock(int column, int row, void *out) {
  return guarded([&] {
    const int x = column * nBlockXSize, y = row * nBlockYSize;
    const int width = std::min(nBlockXSize, nRasterXSize - x), height = std::min(nBlockYSize, nRasterYSize - y);
    return skysense_read(static_cast<Dataset *>(poDS)->map, level, nBand - 1, 1, x, y, width, height, out, nBlockXSize,
                         nullptr, nullptr);
  });
}

CPLErr Band::IRasterIO(GDALRWFlag flag, int x, int y, int width, int height, void *out, int out_width, int out_height,
                       GDALDataType type, GSpacing pixel, GSpacing line, GDALRasterIOExtraArg *more) {
  return guarded([&]() -> CPLErr {
    auto map = static_cast<Dataset *>(poDS)->map;
    if (flag != GF_Read || width != out_width || height != out_height) {
      if (flag == GF_Read && (out_width < width || out_height < height) &&
          skysense_may_reduce(map, level, x, y, width, height) != CE_None)
        return CE_Failure;
      return GDALRasterBand::IRasterIO(flag, x, y, width, height, out, out_width, out_height, type, pixel, line, more);
    }
    const size_t bytes = GDALGetDataTypeSizeBytes(eDataType);
    // Rust takes the place for an array of pixels, which lies at a multiple of their size.
    if (type == eDataType && pixel == static_cast<GSpacing>(bytes) && line > 0 && line % pixel == 0 &&
        reinterpret_cast<uintptr_t>(out) % bytes == 0)
      return skysense_read(map, level, nBand - 1, 1, x, y, width, height, out, line / pixel, more->pfnProgress,
                           more->pProgressData);
    std::unique_ptr<void, decltype(&VSIFree)> whole(VSI_MALLOC3_VERBOSE(bytes, width, height), VSIFree);
    if (!whole) return CE_Failure;
    if (skysense_read(map, level, nBand - 1, 1, x, y, width, height, whole.get(), width, more->pfnProgress,
                      more->pProgressData) != CE_None)
      return CE_Failure;
    for (int row = 0; row < height; row++)
      GDALCopyWords(static_cast<GByte *>(whole.get()) + bytes * row * width, eDataType, static_cast<int>(bytes),
                    static_cast<GByte *>(out) + row * line, type, static_cast<int>(pixel), width);
    return CE_None;
  });
}

GDALDataset *open(GDALOpenInfo *info) {
  if (!skysense_identify(info->pszFilename)) return nullptr;
  if (info->eAccess == GA_Update) {
    CPLError(CE_Failure, CPLE_NotSupported, "SKYSENSE: %s is computed and cannot be written to", info->pszFilename);
    return nullptr;
  }
  void *map = skysense_open(info->pszFilename, info->papszOpenOptions);
  if (!map) return nullptr;
  Dataset *dataset = nullptr;
  if (guarded([&] {
        dataset = new Dataset(map);
        skysense_describe(map, GDALDataset::ToHandle(dataset));
        return CE_None;
      }) != CE_None) {
    if (dataset)
      delete dataset;
    else
      skysense_close(map);
    return nullptr;
  }
  return dataset;
}

} // namespace

extern "C" {

void skysense_set_reference(GDALDatasetH dataset, const char *text) {
  guarded([&] {
    static_cast<Dataset *>(GDALDataset::FromHandle(dataset))->reference.SetFromUserInput(text);
    return CE_None;
  });
}

void skysense_set_band(GDALDatasetH dataset, int number, const SkysenseBand *about) {
  guarded([&] {
    auto band = static_cast<Band *>(GDALDataset::FromHandle(dataset)->GetRasterBand(number));
    const auto set = [about](Band *one) {
      one->about = *about;
      if (about->colours) one->colours.reset(GDALColorTable::FromHandle(about->colours)->Clone());
      one->categories = CPLStringList(CSLDuplicate(about->categories));
    };
    set(band);
    for (auto &overview : band->overviews) set(overview.get());
    return CE_None;
  });
}

void skysense_register(const char *options) {
  if (GDALGetDriverByName("SKYSENSE")) return;
  guarded([&] {
    auto driver = std::make_unique<GDALDriver>();
    driver->SetDescription("SKYSENSE");
    driver->SetMetadataItem(GDAL_DCAP_RASTER, "YES");
    driver->SetMetadataItem(GDAL_DMD_LONGNAME, "SkySense workflow, computed when read");
    driver->SetMetadataItem(GDAL_DMD_EXTENSIONS, "skysense.yaml");
    driver->SetMetadataItem(GDAL_DMD_CONNECTION_PREFIX, "SKYSENSE:");
    driver->SetMetadataItem(GDAL_DMD_SUBDATASETS, "YES");
    driver->SetMetadataItem(GDAL_DMD_OPENOPTIONLIST, options);
    driver->pfnIdentify = [](GDALOpenInfo *info) -> int { return skysense_identify(info->pszFilename); };
    driver->pfnOpen = open;
    GetGDALDriverManager()->RegisterDriver(driver.release());
    return CE_None;
  });
}
}
