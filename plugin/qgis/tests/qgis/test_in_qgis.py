"""The plugin inside QGIS: forms, results as layers, the model designer, cancel, and what goes wrong."""

import json
import os
import shutil
import subprocess
import unittest
from pathlib import Path

import bench
from bench import BANDS, CATALOG, MODEL, WORK, Listening, fails, run, stack
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelParameter,
    QgsProcessingParameterString,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

SEARCHED = {"CATALOG": CATALOG, "COLLECTIONS": "sentinel-2-l2a", "MODEL": MODEL}


def setUpModule():
    bench.start()


def registry():
    return QgsApplication.processingRegistry()


def target(name):
    return str(Path(WORK) / "in-qgis" / name)


def bytes_of(file):
    return Path(file).read_bytes()


class Live(unittest.TestCase):
    """A workflow opened as a layer: GDAL_DRIVER_PATH names the driver."""

    def test_pixels_and_classes_are_those_of_the_result(self):
        live = QgsRasterLayer(str(Path(WORK) / "map.skysense.yaml"), "live", "gdal")
        self.assertTrue(live.isValid(), live.error().message())
        (file,) = Path(WORK).glob("map/*/class.tif")
        result = QgsRasterLayer(str(file), "result", "gdal")
        self.assertEqual(live.extent(), result.extent())
        self.assertEqual(live.crs(), result.crs())
        self.assertIsInstance(live.renderer(), QgsPalettedRasterRenderer)
        width, height = result.width(), result.height()
        whole = [layer.dataProvider().block(1, layer.extent(), width, height) for layer in (live, result)]
        self.assertEqual(*(bytes(block.data()) for block in whole))


class Forms(unittest.TestCase):
    """A workflow file becomes a form by its params."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(QgsApplication.qgisSettingsDirPath()) / "skysense" / "workflows"
        cls.folder.mkdir(parents=True, exist_ok=True)
        cls.file = cls.folder / "own layers.yaml"
        bands = ", ".join(f"{band}: {number}" for number, band in enumerate(BANDS, 1) if band != "B04")
        cls.file.write_text(
            "skysense: 1\nname: own layers\ndoc: A map of one image of one's own\nparams:\n"
            "  image: {type: path, doc: the image}\n"
            "  red: {type: integer, default: 3, min: 1, doc: band of red}\n"
            "  taken: {type: datetime, doc: when it was taken}\n"
            "  where: {type: bbox, default: [-180, -90, 180, 90]}\n"
            "  crs: {type: string, default: auto}\n"
            "  masked: {type: enum, values: [clouds, none], default: none}\n"
            "  share: {type: number, default: 0.1, min: 0, max: 1}\n"
            "  model: {type: model}\n"
            "  out: {type: path, default: out/}\n"
            "nodes:\n"
            "  image:\n    uses: raster.files\n    with:\n      sensor: sentinel-2-l2a\n      files:\n"
            f"        - {{href: $image, datetime: $taken, bands: {{{bands}, B04: $red}}}}\n"
            "  chips:\n    uses: raster.chips\n    from: image\n"
            "    with: {size: 16, overlap: 4, crs: $crs, mask: $masked, min_valid: $share,"
            " radiometry: {files: {offset: 0}}}\n"
            "  classes: {uses: skysense.segment, from: chips, with: {model: $model}}\n"
            "  map: {uses: stac.write, from: classes, with: {href: $out, collection: own}}\n"
        )
        (cls.folder / "broken.yaml").write_text("skysense: 1\nnodes: {a: {uses: stac.serach}}\n")
        registry().providerById("skysense").refreshAlgorithms()

    @classmethod
    def tearDownClass(cls):
        (cls.folder / "broken.yaml").unlink()

    def test_params_are_typed(self):
        algorithm = registry().algorithmById("skysense:user_own_layers")
        self.assertIsNotNone(algorithm)
        types = {one.name(): one.type() for one in algorithm.parameterDefinitions()}
        for name, kind in {
            "image": "raster", "red": "band", "taken": "datetime", "where": "extent", "crs": "crs", "masked": "enum",
            "share": "number", "model": "string", "out": "folderDestination",
        }.items():  # fmt: skip
            self.assertEqual(types[name], kind, name)
        self.assertEqual(algorithm.parameterDefinition("red").parentLayerParameterName(), "image")
        share = algorithm.parameterDefinition("share")
        self.assertEqual((share.minimum(), share.maximum(), share.defaultValue()), (0.0, 1.0, 0.1))
        self.assertIn("A map of one image", algorithm.shortHelpString())
        for name, out in (("map", "out"), ("features", "out"), ("shards", "out"), ("pretrain", "package")):
            ready = registry().algorithmById(f"skysense:library_{name}")
            self.assertEqual(ready.parameterDefinition(out).type(), "folderDestination", name)
            # Nothing lies beside the file: what the settings say.
            self.assertEqual(ready.parameterDefinition("catalog").defaultValue(), CATALOG)

    def test_a_file_with_mistakes_is_told_and_is_no_algorithm(self):
        self.assertIsNone(registry().algorithmById("skysense:user_broken"))
        self.assertIn("broken.yaml", registry().providerById("skysense").warningMessage())

    def test_layers_run_through_it_as_on_the_command_line(self):
        file, day = stack("stack.tif")
        layer = QgsRasterLayer(file, "image")
        given = {"image": layer, "red": 3, "taken": f"{day}T00:00:00", "model": MODEL, "out": target("own")}
        answer = run("skysense:user_own_layers", {**given, "LOAD": False})
        params = [f"image={file}", f"taken={day}", f"model={MODEL}", f"out={target('own-cli')}"]
        line = [os.environ["SKYSENSE_BINARY"], "run", str(self.file)]
        for one in params:
            line += ["-p", one]
        subprocess.run(line, check=True, capture_output=True, cwd=WORK)
        expected = Path(target("own-cli")) / "own-all" / "class.tif"
        self.assertEqual(bytes_of(answer["RESULT"]), bytes_of(expected))

    def test_projects_bring_workflows(self):
        home = Path(WORK) / "project"
        (home / "workflows").mkdir(parents=True, exist_ok=True)
        (home / "workflows" / "of project.yaml").write_text(self.file.read_text())
        project = QgsProject.instance()
        project.write(str(home / "p.qgs"))
        project.clear()
        self.assertIsNone(registry().algorithmById("skysense:project_of_project"))
        project.read(str(home / "p.qgs"))
        self.assertIsNotNone(registry().algorithmById("skysense:project_of_project"))
        project.clear()
        # One that is saved for the first time has a folder from then on.
        self.assertIsNone(registry().algorithmById("skysense:project_of_project"))
        project.write(str(home / "q.qgs"))
        self.assertIsNotNone(registry().algorithmById("skysense:project_of_project"))
        project.clear()


class Results(unittest.TestCase):
    """What a run gives, as layers and further on."""

    @classmethod
    def setUpClass(cls):
        cls.listening = Listening()
        cls.context = bench.project_context()
        outputs = {"OUTPUT": target("map"), "OUTPUTS": [0, 1, 2]}
        cls.answer = run("skysense:segment", {**SEARCHED, **outputs}, cls.listening, cls.context)

    def test_layers_come_with_legend_dates_and_provenance(self):
        waiting = self.context.layersToLoadOnCompletion()
        self.assertEqual(len(waiting), 3)
        layers = {}
        for file, details in waiting.items():
            layer = QgsRasterLayer(file, details.name)
            details.postProcessor().postProcessLayer(layer, self.context, self.listening)
            layers[Path(file).stem] = layer
        renderer = layers["class"].renderer()
        self.assertIsInstance(renderer, QgsPalettedRasterRenderer)
        legend = {entry.value: (entry.label, entry.color.name()) for entry in renderer.classes()}
        self.assertEqual(legend[1], ("water", "#2b6cb0"))
        self.assertNotIn(255, legend)
        metadata = layers["class"].metadata()
        self.assertIn("Model", metadata.abstract())
        self.assertTrue(any(link.name.startswith("S2A_SIM") for link in metadata.links()))
        self.assertTrue(metadata.licenses())
        dates = layers["class"].temporalProperties().fixedTemporalRange()
        self.assertEqual(dates.begin().date().year(), 2021)
        self.assertLess(dates.begin(), dates.end())
        self.assertEqual(layers["entropy"].renderer().contrastEnhancement().maximumValue(), 1.0)

    def test_progress_and_lines_are_passed_on(self):
        self.assertEqual(self.listening.progress[-1], 100)
        self.assertGreater(len(self.listening.progress), 3)
        self.assertEqual(self.listening.progress, sorted(self.listening.progress))
        self.assertTrue(any("radiometry" in text for _, text in self.listening.lines))

    def test_the_model_designer_takes_its_result_further(self):
        model = QgsProcessingModelAlgorithm("chain", "test")
        model.addModelParameter(QgsProcessingParameterString("catalog"), QgsProcessingModelParameter("catalog"))
        source = QgsProcessingModelChildParameterSource
        first = QgsProcessingModelChildAlgorithm("skysense:segment")
        first.setChildId("segment")
        first.addParameterSources("CATALOG", [source.fromModelParameter("catalog")])
        for name, value in (
            ("COLLECTIONS", "sentinel-2-l2a"),
            ("MODEL", MODEL),
            ("OUTPUT", target("chain")),
            ("LOAD", False),
        ):
            first.addParameterSources(name, [source.fromStaticValue(value)])
        model.addChildAlgorithm(first)
        second = QgsProcessingModelChildAlgorithm("native:rasterlayerproperties")
        second.setChildId("properties")
        second.addParameterSources("INPUT", [source.fromChildOutput("segment", "RESULT")])
        model.addChildAlgorithm(second)
        context, feedback = bench.project_context(), Listening()
        answer, ok = model.run({"catalog": CATALOG}, context, feedback)
        self.assertTrue(ok, feedback.lines)
        children = answer["CHILD_RESULTS"]
        self.assertEqual(bytes_of(children["segment"]["RESULT"]), bytes_of(self.answer["RESULT"]))
        self.assertEqual(children["properties"]["BAND_COUNT"], 1)

    def test_a_temporary_folder_is_one_folder(self):
        for algorithm in ("segment", "library_map"):
            given = {**SEARCHED, "LOAD": False} if algorithm == "segment" else {"catalog": CATALOG, "model": MODEL}
            folder = "OUTPUT" if algorithm == "segment" else "out"
            answer = run(
                f"skysense:{algorithm}", {**given, folder: "TEMPORARY_OUTPUT"}, context=bench.project_context()
            )
            self.assertTrue(answer["RESULT"].startswith(answer[folder]), answer)
            self.assertTrue(Path(answer["RESULT"]).is_file())

    def test_an_area_of_the_canvas_cuts_the_map(self):
        layer = QgsRasterLayer(self.answer["RESULT"], "map")
        box = layer.extent().buffered(-200)
        extent = f"{box.xMinimum()},{box.xMaximum()},{box.yMinimum()},{box.yMaximum()} [{layer.crs().authid()}]"
        answer = run("skysense:segment", {**SEARCHED, "EXTENT": extent, "OUTPUT": target("part"), "LOAD": False})
        part = QgsRasterLayer(answer["RESULT"], "part")
        self.assertLess(part.width(), layer.width())
        self.assertTrue(part.extent().contains(QgsRectangle(box.center(), box.center())))


class Formats(unittest.TestCase):
    """Layers of whatever format QGIS opens."""

    def test_pixels_are_those_of_the_geotiff(self):
        file, day = stack("stack.tif")
        given = {"DATES": day, "RADIOMETRY": 1, "MODEL": MODEL, "LOAD": False}
        mapping = ",".join(f"{band}={number}" for number, band in enumerate(BANDS, start=1))
        expected = run("skysense:segment", {**given, "LAYERS": [file], "OUTPUT": target("of-tif")})["RESULT"]
        for format, name in (("VRT", "stack.vrt"), ("ENVI", "stack.dat"), ("HFA", "stack.img")):
            other = str(Path(WORK) / name)
            bench.gdal.Translate(other, file, format=format).FlushCache()
            layer = QgsRasterLayer(other, name, "gdal")
            out = target(f"of-{format}")
            answer = run("skysense:segment", {**given, "LAYERS": [layer], "BANDS": mapping, "OUTPUT": out})
            self.assertEqual(bytes_of(answer["RESULT"]), bytes_of(expected), format)

    def test_one_raster_of_several_in_a_file_is_a_layer(self):
        file, day = stack("stack.tif")
        packed = str(Path(WORK) / "labels.gpkg")
        labels, folder = bench.item("labels")
        asset = next(one for one in labels["assets"].values() if "labels" in one.get("roles", []))
        one = str((folder / asset["href"]).resolve())
        for table in ("first", "second"):
            options = [f"RASTER_TABLE={table}", "APPEND_SUBDATASET=YES"]
            bench.gdal.Translate(packed, one, format="GPKG", creationOptions=options).FlushCache()
        layer = QgsRasterLayer(f"GPKG:{packed}:second", "labels", "gdal")
        self.assertTrue(layer.isValid())
        given = {"LAYERS": [file], "DATES": day, "RADIOMETRY": 1, "CLASSES": "1=water,2=broadleaf,3=conifer"}
        more = {"STEPS": 2, "HOLDOUT": 0, "NAME": "packed", "OUTPUT": target("packed")}
        answer = run("skysense:finetune", {**given, **more, "LABELS": layer})
        self.assertIn('"subdataset": "second"', Path(answer["WORKFLOW"]).read_text())
        self.assertTrue((Path(answer["PACKAGE"]) / "model.yaml").is_file())


class Objects(unittest.TestCase):
    """Outlines teach a detector, whose finds are a layer with a legend."""

    def test_outlines_are_loaded_with_the_colours_of_their_classes(self):
        context = bench.project_context()
        given = {"LAYERS": [os.environ["SKYSENSE_OBJECTS"]], "SENSOR": 3, "BANDS": "red=1,green=2,blue=3"}
        given.update(DATES="2021-06-01", MODEL=os.environ["SKYSENSE_DETECTOR"], OUTPUT=target("found"))
        answer = run("skysense:detect", given, context=context)
        self.assertEqual(list(context.layersToLoadOnCompletion()), [answer["RESULT"]])
        layer = QgsVectorLayer(answer["RESULT"], "found")
        self.assertTrue(layer.isValid())
        from skysense.algorithms import results

        (found,) = results.outputs_of(json.loads(Path(answer["REPORT"]).read_text()))
        results.dress(layer, found)
        self.assertIsInstance(layer.renderer(), QgsCategorizedSymbolRenderer)
        self.assertEqual(layer.renderer().classAttribute(), "class")
        self.assertEqual({one.label() for one in layer.renderer().categories()}, {one.name for one in found.classes})
        self.assertTrue(found.classes)
        self.assertIn("detector", layer.metadata().abstract())


class Training(unittest.TestCase):
    def test_numbers_of_polygons_teach_a_model(self):
        file, day = stack("stack.tif")
        box = QgsRasterLayer(file, "image").extent()
        labels = QgsVectorLayer("Polygon?crs=EPSG:32633&field=height:double", "heights", "memory")
        middle = box.center().x()
        for height, west, east in ((2.5, box.xMinimum(), middle), (17.0, middle, box.xMaximum())):
            feature = QgsFeature(labels.fields())
            feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(west, box.yMinimum(), east, box.yMaximum())))
            feature["height"] = height
            labels.dataProvider().addFeature(feature)
        labels.updateExtents()
        QgsProject.instance().addMapLayer(labels)
        given = {"LAYERS": [file], "DATES": day, "RADIOMETRY": 1}
        more = {"TASK": 1, "POLYGONS": labels, "CLASS_FIELD": "height", "STEPS": 3, "HOLDOUT": 0}
        answer = run("skysense:finetune", {**given, **more, "NAME": "heights", "OUTPUT": target("heights")})
        mapped = run(
            "skysense:segment", {**given, "MODEL": answer["PACKAGE"], "OUTPUT": target("height"), "LOAD": False}
        )
        self.assertEqual(Path(mapped["RESULT"]).name, "value.tif")

    def test_polygons_with_a_field_teach_a_model(self):
        file, day = stack("stack.tif")
        box = QgsRasterLayer(file, "image").extent()
        labels = QgsVectorLayer("Polygon?crs=EPSG:32633", "labels", "memory")
        labels.dataProvider().addAttributes([QgsField("kind", QVariant.String)])
        labels.updateFields()
        middle = box.center().x()
        halves = (("field", box.xMinimum(), middle), ("forest", middle, box.xMaximum()))
        for name, west, east in halves:
            feature = QgsFeature(labels.fields())
            feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(west, box.yMinimum(), east, box.yMaximum())))
            feature["kind"] = name
            labels.dataProvider().addFeature(feature)
        labels.updateExtents()
        QgsProject.instance().addMapLayer(labels)
        given = {"LAYERS": [file], "DATES": day, "RADIOMETRY": 1, "POLYGONS": labels, "CLASS_FIELD": "kind"}
        answer = run(
            "skysense:finetune", {**given, "NAME": "halves", "STEPS": 3, "HOLDOUT": 0, "OUTPUT": target("halves")}
        )
        self.assertTrue((Path(answer["PACKAGE"]) / "model.yaml").is_file())
        mapped = run("skysense:segment", {
            "LAYERS": [file], "DATES": day, "RADIOMETRY": 1, "MODEL": answer["PACKAGE"], "OUTPUT": target("halved"),
        }, context=bench.project_context())  # fmt: skip
        self.assertTrue(Path(mapped["RESULT"]).is_file())
        wrong = fails("skysense:finetune", {**given, "CLASS_FIELD": "kin", "OUTPUT": target("none")})
        self.assertIn("it has kind", wrong)
        labels.setCrs(QgsCoordinateReferenceSystem())
        wrong = fails("skysense:finetune", {**given, "OUTPUT": target("none")})
        self.assertIn("“labels” has no reference system", wrong)


class Trouble(unittest.TestCase):
    """Errors read like sentences and say what to do."""

    def test_every_error_says_what_to_do(self):
        file, day = stack("nameless.tif", described=False)
        layers = {"LAYERS": [file], "MODEL": MODEL, "OUTPUT": target("none")}
        for given, parts in (
            ({**SEARCHED, "CATALOG": "gone.json"}, ("gone.json", "check the path")),
            ({**SEARCHED, "MODEL": "nobody"}, ("no model “nobody”", "Add a model")),
            ({**SEARCHED, "CATALOG": ""}, ("no images", "choose raster layers")),
            ({**SEARCHED, "COLLECTIONS": "sentinel-2-l2"}, ("sentinel-2-l2", "did you mean `sentinel-2-l2a`")),
            ({**layers, "DATES": day}, ("which band is which", "B02=1")),
            ({**layers, "DATES": day, "BANDS": "B02"}, ("“B02” names no band", "B02=1, B03=2")),
            ({**layers, "DATES": day, "BANDS": "B02=1,B03=99"}, ("B03 is band 99", "has 1 to 10")),
            ({**layers, "DATES": day, "BANDS": "B02=1,B03=2", "RADIOMETRY": 1}, ("B04", "under Bands")),
            ({**layers, "BANDS": "B02=1"}, ("Nobody knows when", "write its date")),
        ):
            said = fails("skysense:segment", {"OUTPUT": target("none"), **given, "LOAD": False})
            for part in parts:
                self.assertIn(part, said)
        self.assertFalse(Path(target("none")).exists())

    def test_a_folder_of_packages_is_none_itself(self):
        for algorithm, given in (
            ("skysense:addmodel", {"PACKAGE": str(Path(MODEL).parent), "NAME": "none"}),
            ("skysense:segment", {**SEARCHED, "MODEL": str(Path(MODEL).parent), "OUTPUT": target("none")}),
        ):
            self.assertIn("choose a folder that holds a model.yaml", fails(algorithm, given))
        self.assertIn("One thing is added at a time", fails("skysense:addmodel", {}))
        self.assertIn("is there already", fails("skysense:addmodel", {"PACKAGE": MODEL, "NAME": Path(MODEL).name}))
        self.assertIn("name of a folder", fails("skysense:addmodel", {"PACKAGE": MODEL, "NAME": "../above"}))

    def test_a_result_that_cannot_be_written_is_told(self):
        said = fails("skysense:segment", {**SEARCHED, "OUTPUT": str(Path(CATALOG) / "deeper" / "map"), "LOAD": False})
        self.assertIn("choose another folder", said)
        self.assertIn(CATALOG, said)

    def test_a_package_that_is_not_whole_is_told(self):
        broken = Path(WORK) / "broken-model"
        shutil.copytree(MODEL, broken)
        with open(broken / "weights.safetensors", "ab") as file:
            file.write(b"more")
        said = fails("skysense:addmodel", {"PACKAGE": str(broken), "NAME": "broken"})
        self.assertIn("weights.safetensors", said)
        self.assertIn("copy the package again", said)

    def test_a_trained_model_never_takes_the_place_of_another(self):
        given = {**SEARCHED, "MODEL": "", "OUTPUT": MODEL}
        self.assertIn("is there already", fails("skysense:finetune", given))

    def test_layers_that_are_no_files_are_refused(self):
        file, day = stack("stack.tif")
        bench.gdal.Translate("/vsimem/stack.tif", file).FlushCache()
        layer = QgsRasterLayer("/vsimem/stack.tif", "in memory", "gdal")
        self.assertTrue(layer.isValid())
        given = {"LAYERS": [layer], "DATES": day, "MODEL": MODEL, "OUTPUT": target("none")}
        self.assertIn("save the layer as GeoTIFF", fails("skysense:segment", given))

    def test_a_model_is_applied_by_the_algorithm_of_its_task(self):
        for algorithm in ("detect", "change"):
            said = fails(f"skysense:{algorithm}", {**SEARCHED, "OUTPUT": target("none"), "LOAD": False})
            self.assertIn("use “Map of classes or numbers”", said)

    def test_two_times_are_told_apart(self):
        given = {**SEARCHED, "MODEL": os.environ["SKYSENSE_CHANGE"], "OUTPUT": target("none"), "LOAD": False}
        self.assertIn("no images of the earlier time", fails("skysense:change", given))
        days = {"START": "2021-01-01", "START_BEFORE": "2021-01-01"}
        self.assertIn("Both times are of the same days", fails("skysense:change", {**given, **days}))

    def test_a_missing_command_is_told_where_algorithms_are_listed(self):
        before = os.environ.pop("SKYSENSE_BINARY")
        os.environ["SKYSENSE_BINARY"] = "/gone/skysense"
        try:
            algorithm = registry().algorithmById("skysense:segment").create()
            can, why = algorithm.canExecute()
            self.assertFalse(can)
            self.assertIn("skysense qgis install", why)
            provider = registry().providerById("skysense")
            provider.refreshAlgorithms()
            self.assertIn("/gone/skysense", provider.warningMessage())
            self.assertIsNotNone(registry().algorithmById("skysense:segment"))
        finally:
            os.environ["SKYSENSE_BINARY"] = before
            registry().providerById("skysense").refreshAlgorithms()

    def test_cancel_ends_the_command_and_leaves_nothing_half_written(self):
        file, day = stack("stack.tif")
        labels, folder = bench.item("labels")
        asset = next(one for one in labels["assets"].values() if "labels" in one.get("roles", []))

        class Cancelling(Listening):
            """Presses Cancel when the run has begun."""

            def __init__(self):
                super().__init__()
                self.pushInfo = self.heard

            def heard(self, text):
                self.lines.append(("pushInfo", text))
                if text.startswith("run "):
                    self.cancel()

        feedback = Cancelling()
        with self.assertRaisesRegex(QgsProcessingException, "cancelled"):
            run("skysense:finetune", {
                "LAYERS": [file], "DATES": day, "RADIOMETRY": 1, "LABELS": str((folder / asset["href"]).resolve()),
                "CLASSES": "1=water,2=broadleaf,3=conifer,4=grassland", "STEPS": 1000000, "OUTPUT": target("cancelled"),
            }, feedback)  # fmt: skip
        self.assertFalse((Path(target("cancelled")) / "model.yaml").exists())
        running = subprocess.run(["pgrep", "-f", target("cancelled")], capture_output=True, text=True, check=False)
        self.assertEqual(running.stdout.split(), [])


class Searching(unittest.TestCase):
    def test_items_become_outlines_and_their_assets_layers(self):
        context = bench.project_context()
        given = {
            "CATALOG": CATALOG,
            "COLLECTIONS": "sentinel-2-l2a",
            "ASSETS": "B04",
            "OUTPUT": target("found.geojson"),
        }
        answer = run("skysense:search", given, context=context)
        outlines = QgsVectorLayer(answer["OUTPUT"], "found")
        self.assertEqual(outlines.featureCount(), answer["COUNT"])
        self.assertIn("cloud_cover", [field.name() for field in outlines.fields()])
        self.assertEqual(outlines.crs(), QgsCoordinateReferenceSystem("EPSG:4326"))
        rasters = [file for file in context.layersToLoadOnCompletion() if file.endswith(".tif")]
        self.assertEqual(len(rasters), answer["COUNT"])
        self.assertTrue(all(QgsRasterLayer(file, "b").isValid() for file in rasters))
        self.assertIn("B04", fails("skysense:search", {**given, "ASSETS": "B4x"}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
