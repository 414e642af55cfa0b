//! Triggers as they are written: what is wrong with them, and what they take.

use serde_json::{Value, json};
use skysense_catalog::{Item, Root};
use skysense_engine::{Bindings, NodeType, NodeTypes, Source as Text};

use super::*;

fn types() -> NodeTypes {
    let node: NodeType = serde_json::from_value(json!({
        "name": "stac.search", "summary": "", "output": "item",
        "settings": {"type": "object", "properties": {"href": {"type": "string"}, "out": {"type": "string"}}},
    }))
    .unwrap();
    NodeTypes::from_iter([node]).with_triggers(trigger_types())
}

fn workflow(trigger: &str) -> String {
    format!(
        "skysense: 1
params:
  catalog: {{type: uri, default: none.json}}
  out: {{type: path, default: out}}
  open: {{type: string, default: x}}
  count: {{type: integer, default: 1}}
nodes:
  scenes: {{uses: stac.search, with: {{href: $catalog, out: $out}}}}
triggers:
{trigger}"
    )
}

/// The first fault, as it is printed.
fn fault(trigger: &str) -> String {
    let text = workflow(trigger);
    let source = Text::from_text("w.yaml", &text);
    match Spec::from_source(&source, &types(), &Bindings::of_process(&[])) {
        Ok(spec) => check_triggers(&spec).first().map(ToString::to_string).expect("a fault"),
        Err(faults) => faults.iter().next().map(ToString::to_string).expect("a fault"),
    }
}

/// Where something stands last in a text, as faults write it.
fn place_of(text: &str, what: &str) -> String {
    let at = text.rfind(what).expect("it stands there");
    let line = text[..at].matches('\n').count() + 1;
    let column = at - text[..at].rfind('\n').map_or(0, |end| end + 1) + 1;
    format!("w.yaml:{line}:{column}\n")
}

fn made(trigger: &str) -> Trigger {
    let source = Text::from_text("/w.yaml", &workflow(trigger));
    let spec =
        Spec::from_source(&source, &types(), &Bindings::of_process(&[])).unwrap_or_else(|faults| panic!("{faults}"));
    let made = triggers(&spec).unwrap_or_else(|faults| panic!("{}", faults[0]));
    made.into_iter().next().expect("a trigger").1
}

fn item(fields: Value) -> Item {
    let mut value = json!({
        "type": "Feature", "id": "S2A_1", "collection": "s2", "bbox": [5.0, 45.0, 6.0, 46.0],
        "geometry": {"type": "Polygon", "coordinates": [[[5, 45], [6, 45], [6, 46], [5, 46], [5, 45]]]},
        "properties": {"datetime": "2021-06-01T10:00:00Z", "eo:cloud_cover": 12, "platform": "sentinel-2a"},
        "assets": {"B04": {"href": "https://h/B04.tif"}},
    });
    for (name, field) in fields.as_object().unwrap() {
        match name.as_str() {
            "id" | "collection" | "geometry" | "bbox" | "assets" => value[name] = field.clone(),
            name => value["properties"][name] = field.clone(),
        }
    }
    Item::from_json(value, "https://h/item.json", Root::Remote("https://h/".into())).unwrap()
}

#[test]
fn what_is_wrong_with_a_trigger_is_shown_where_it_stands() {
    for (trigger, at, words) in [
        ("  t: {uses: stac.pol}", "stac.pol}", "did you mean `stac.poll`?"),
        ("  t: {uses: stac.poll, with: {href: x, every: 15m}}", "stac.poll", "need `run`"),
        (
            "  t: {uses: stac.poll, with: {href: x, every: 1h, overlaps: 1d, run: {}}}",
            "overlaps",
            "did you mean `overlap`?",
        ),
        ("  t: {uses: stac.poll, with: {href: x, every: soon, run: {}}}", "soon", "`every`"),
        (
            "  t:\n    uses: stac.poll\n    with:\n      href: x\n      every: 1h\n      select: {filter: \"a <\"}\n      run: {}",
            "\"a <\"",
            "(trigger t)",
        ),
        (
            "  t: {uses: stac.poll, with: {href: x, every: 1h, select: {bbox: [1, 2, 3, 95]}, run: {}}}",
            "[1, 2, 3, 95]",
            "no box",
        ),
        (
            "  t: {uses: stac.poll, with: {href: x, every: 1h, run: {items: catalogue}}}",
            "catalogue",
            "no param `catalogue`",
        ),
        ("  t: {uses: stac.poll, with: {href: x, every: 1h, run: {items: count}}}", "count", "of type integer"),
        (
            "  t: {uses: stac.poll, with: {href: x, every: 1h, group: {by: week, needs: [s1]}, run: {}}}",
            "[s1]",
            "timeout: 14d",
        ),
        (
            "  t: {uses: stac.poll, with: {href: x, every: 1h, select: {collections: [s2]}, group: {by: week, needs: [s1], timeout: 1d}, run: {}}}",
            "s1]",
            "never taken",
        ),
        ("  t: {uses: schedule, with: {cron: \"0 25 * * *\"}}", "\"0 25", "`25` is no hour"),
        ("  t: {uses: webhook, with: {hosts: [\"https://h\"], run: {}}}", "\"https://h\"", "is no host"),
        ("  t: {uses: webhook, with: {run: {}}}", "webhook", "`hosts`"),
        ("  t: {uses: webhook, with: {hosts: [h], secret: abc, run: {}}}", "abc", "guessed"),
        (
            "  t: {uses: folder.watch, with: {path: in, names: \"*.tif\", run: {items: catalog}}}",
            "catalog",
            "`run.file`",
        ),
        ("  t: {uses: hand, with: {run: {memory: lots}}}", "lots", "no size"),
    ] {
        let (place, shown) = (place_of(&workflow(trigger), at), fault(trigger));
        assert!(shown.contains(&place) && shown.contains(words), "{trigger}\nexpected {place} and {words}\n{shown}");
    }
}

#[test]
fn a_param_that_nothing_fills_is_named() {
    let text = workflow("  t: {uses: hand}").replace(", default: x}", "}");
    let spec =
        Spec::from_source(&Text::from_text("w.yaml", &text), &types(), &Bindings::of_process(&[]).open()).unwrap();
    let faults = check_triggers(&spec);
    assert!(faults[0].to_string().contains("nothing gives param `open` a value"), "{}", faults[0]);
    let text = text.replace("{uses: hand}", "{uses: hand, with: {run: {params: {open: a}}}}");
    let spec =
        Spec::from_source(&Text::from_text("w.yaml", &text), &types(), &Bindings::of_process(&[]).open()).unwrap();
    assert!(check_triggers(&spec).is_empty());
}

#[test]
fn the_examples_of_all_types_are_right() {
    for kind in trigger_types() {
        let indented: String = kind.example.lines().map(|line| format!("  {line}\n")).collect();
        let text = workflow(&indented).replace("${secret:HOOK}", "0123456789abcdef");
        let spec = Spec::from_source(&Text::from_text("w.yaml", &text), &types(), &Bindings::of_process(&[]));
        let spec = spec.unwrap_or_else(|faults| panic!("{}: {faults}", kind.name));
        let faults = check_triggers(&spec);
        assert!(faults.is_empty(), "{}: {}", kind.name, faults[0]);
    }
}

#[test]
fn items_are_taken_by_collection_place_time_clouds_and_filter() {
    for (select, fields, taken) in [
        ("{}", json!({}), true),
        ("{collections: [s1]}", json!({}), false),
        ("{collections: [s1, s2]}", json!({}), true),
        ("{cloud_cover: 10}", json!({}), false),
        ("{cloud_cover: 12}", json!({}), true),
        ("{cloud_cover: 10}", json!({"eo:cloud_cover": null}), true),
        ("{bbox: [5.5, 45.5, 7, 47]}", json!({}), true),
        ("{bbox: [6.5, 45.5, 7, 47]}", json!({}), false),
        ("{area: \"POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))\"}", json!({}), false),
        ("{area: {type: Point, coordinates: [5.5, 45.5]}}", json!({}), true),
        (
            "{bbox: [170, 40, -170, 50]}",
            json!({"bbox": null, "geometry": {"type": "Point", "coordinates": [-175, 45]}}),
            true,
        ),
        ("{bbox: [170, 40, -170, 50]}", json!({}), false),
        ("{bbox: [5, 45, 6, 46]}", json!({"geometry": null}), true),
        ("{datetime: 2021-06}", json!({}), true),
        ("{datetime: 2021-07/..}", json!({}), false),
        ("{filter: \"platform = 'sentinel-2b'\"}", json!({}), false),
        ("{filter: {op: \"=\", args: [{property: platform}, sentinel-2a]}}", json!({}), true),
    ] {
        let trigger = made(&format!("  t: {{uses: hand, with: {{select: {select}}}}}"));
        assert_eq!(trigger.select.passes(&item(fields.clone())), Ok(taken), "{select} {fields}");
    } // What cannot be judged is told, and not passed over.
    let trigger = made("  t: {uses: hand, with: {select: {bbox: [5, 45, 6, 46]}}}");
    let reason = trigger.select.passes(&item(json!({"geometry": null, "bbox": null}))).unwrap_err();
    assert!(reason.contains("neither bbox nor geometry"), "{reason}");
}

#[test]
fn items_gather_by_time_of_the_sun_and_by_properties() {
    for (by, fields, key) in [
        ("item", json!({}), "s2/S2A_1"),
        ("day", json!({}), "2021-06-01"),
        // By the sun it is the next day already, far in the east.
        (
            "day",
            json!({"datetime": "2021-06-01T23:30:00Z", "geometry": {"type": "Point", "coordinates": [170, 0]}}),
            "2021-06-01",
        ),
        ("week", json!({}), "2021-W22"),
        ("week", json!({"datetime": "2021-01-01T10:00:00Z"}), "2020-W53"),
        ("month", json!({}), "2021-06"),
        ("all", json!({}), "all"),
        ("grid:code", json!({"grid:code": "MGRS-32TLS"}), "MGRS-32TLS"),
        ("[week, grid:code]", json!({"grid:code": "MGRS-32TLS"}), "2021-W22 MGRS-32TLS"),
        ("[month, sat:relative_orbit]", json!({"sat:relative_orbit": 8}), "2021-06 8"),
        ("week", json!({"datetime": null}), "undated"),
        ("grid:code", json!({}), "no grid:code"),
    ] {
        let trigger = made(&format!("  t: {{uses: hand, with: {{group: {{by: {by}}}}}}}"));
        assert_eq!(trigger.group.key(&item(fields.clone())), key, "{by} {fields}");
    }
}

#[test]
fn an_item_of_another_machine_names_no_file_of_this_one() {
    let trigger = made("  t: {uses: hand}");
    let good = Found::Item(Box::new(item(json!({}))));
    assert!(good.event(&trigger).unwrap().is_some());
    for href in ["file:///etc/passwd", "PG:dbname=x", "gopher://h/x"] {
        let bad = item(json!({"assets": {"B04": {"href": href}}}));
        let (subject, reason) = Found::Item(Box::new(bad)).event(&trigger).unwrap_err();
        assert_eq!(subject, "s2/S2A_1", "{reason}");
    }
}

#[test]
fn an_item_is_the_same_event_until_something_of_it_changes() {
    let trigger = made("  t: {uses: hand}");
    let event = |fields: Value| Found::Item(Box::new(item(fields))).event(&trigger).unwrap().unwrap();
    let first = event(json!({"updated": "2021-06-02T00:00:00Z"}));
    assert_eq!(first.content, event(json!({"updated": "2021-06-03T00:00:00Z"})).content);
    assert_eq!(first.content, event(json!({"assets": {"B04": {"href": "https://h/B04.tif?sig=abc"}}})).content);
    assert_ne!(first.content, event(json!({"eo:cloud_cover": 13})).content);
    assert_eq!(first.version, "2021-06-02T00:00:00Z");
}
