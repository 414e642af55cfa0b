//! Figures of what was measured in training: every measure over the steps, as SVG and PNG.

mod axis;
mod chart;
mod figure;
mod paint;
mod panel;
mod series;
mod svg;

use std::path::{Path, PathBuf};

use skysense_abi::NodeError;
use skysense_train::pretrain::Measures;

use self::chart::{multiples, single};
use self::figure::Figure;
use self::panel::panels;
use crate::errors;

/// Name of the figure of all measures.
const ALL: &str = "metrics";

/// Draws all measures into a folder: `metrics` with a small chart of each, and a larger chart of each loss and probe by its
/// name. Gives the files, `metrics.svg` and `metrics.png` first; none where nothing was measured.
///
/// # Errors
/// Files that cannot be written.
pub(crate) fn draw(measures: &[Measures], title: &str, folder: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let panels = panels(measures);
    if panels.is_empty() {
        return Ok(Vec::new());
    }
    std::fs::create_dir_all(folder).map_err(|error| errors::written(folder, &error))?;
    let mut files = write(&multiples(title, &panels), folder, ALL)?.to_vec();
    for panel in panels.iter().filter(|panel| panel.large()) {
        files.extend(write(&single(panel), folder, &file_name(&panel.name))?);
    }
    Ok(files)
}

/// A name as one of a file: names come with the metrics, which may be of anybody.
fn file_name(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
}

fn write(figure: &Figure, folder: &Path, name: &str) -> Result<[PathBuf; 2], NodeError> {
    let [svg, png] = ["svg", "png"].map(|kind| folder.join(format!("{name}.{kind}")));
    let part = folder.join(format!("{name}.svg.part"));
    let written = std::fs::write(&part, svg::text(figure)).and_then(|()| std::fs::rename(&part, &svg));
    written.map_err(|error| errors::written(&svg, &error))?;
    paint::canvas(figure).save(&png)?;
    Ok([svg, png])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of 400 steps as pretraining tells of it.
    fn measures() -> Vec<Measures> {
        let step = |step: usize| {
            let done = step as f64 / 400.0;
            let wobble = |salt: usize| ((step * 7919 + salt * 104_729) % 1009) as f64 / 1009.0 - 0.5;
            let mut values = std::collections::BTreeMap::new();
            let mut put = |name: &str, value: f64| {
                let _ = values.insert(name.to_owned(), value);
            };
            put("loss", 9.0 * (-3.0 * done).exp() + 2.0 + 0.8 * wobble(1));
            for (salt, part) in ["", ".s2", ".s1", ".fused"].into_iter().enumerate() {
                put(&format!("loss.image{part}"), (3.0 + salt as f64) * (-2.0 * done).exp() + 0.5 * wobble(salt) + 0.5);
            }
            put("loss.alignment", 60.0 * (-9.0 * done).exp() + 0.1 + 0.05 * wobble(9));
            put("learning_rate", 2e-3 * (done * 10.0).min(1.0) * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0);
            put("gradient_norm", if step == 77 { 900.0 } else { 3.0 + wobble(5) });
            put("waiting", 0.02 + 0.02 * wobble(6));
            put("teacher_momentum", 0.996 + 0.004 * done);
            put("skipped", 0.0);
            if step.is_multiple_of(50) {
                put("probe.knn.accuracy", 0.4 + 0.3 * done);
                put("probe.knn.miou", 0.3 + 0.25 * done);
            }
            Measures { step, steps: 400, epoch: done * 8.0, values }
        };
        (1..=400).map(step).collect()
    }

    #[test]
    fn every_measure_is_drawn_twice_and_each_loss_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let place = std::env::var_os("SKYSENSE_KEEP_FIGURES").map_or(folder.path().to_owned(), PathBuf::from);
        let files = draw(&measures(), "a run", &place).unwrap();
        let names: Vec<String> = files.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
        let expected = ["metrics", "loss", "loss.alignment", "loss.image", "probe.knn"];
        let expected: Vec<String> =
            expected.iter().flat_map(|n| ["svg", "png"].map(|kind| format!("{n}.{kind}"))).collect();
        assert_eq!(names, expected);
        let all = std::fs::read_to_string(&files[0]).unwrap();
        assert!(svg::tests::well_formed(&all));
        for name in ["loss", "loss.image", "learning_rate", "gradient_norm", "waiting", "skipped", "probe.knn", "a run"]
        {
            assert!(all.contains(&format!(">{name}</text>")), "{name}");
        }
        let picture = image::open(&files[1]).unwrap().to_rgb8();
        let colors: std::collections::BTreeSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
        assert!(figure::COLORS[..4].iter().all(|color| colors.contains(color)), "four series are seen");
        assert!(std::fs::read_dir(&place).unwrap().all(|e| !e.unwrap().path().to_string_lossy().ends_with("part")));
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_names_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(draw(&[], "nothing", &folder.path().join("plots")).unwrap().is_empty());
        assert!(!folder.path().join("plots").exists());
        assert_eq!(file_name("loss/../../x y"), "loss_.._.._x_y");
    }
}
