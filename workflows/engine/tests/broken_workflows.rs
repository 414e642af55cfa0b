//! What the author of a broken workflow reads: the whole text, with lines, columns and hints.

mod types;

use skysense_engine::{Bindings, Faults, Source, Spec, Surroundings};

struct Nothing;

impl Surroundings for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<String> {
        None
    }
}

fn faults(text: &str, params: &[(&str, &str)]) -> Faults {
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let bindings = Bindings { params: &params, folder: "/here".into(), surroundings: &Nothing, require: true };
    Spec::from_source(&Source::from_text("w.yaml", text), &types::types(), &bindings)
        .expect_err("this workflow is broken")
}

/// Compares the printed faults of a text.
#[track_caller]
fn expect(text: &str, expected: &str) {
    let found = faults(text, &[]).to_string();
    assert!(found.trim() == expected.trim(), "found:\n{found}\nexpected:\n{expected}");
}

#[test]
fn unknown_settings_are_named_with_the_nearest_known_one() {
    expect(
        "skysense: 1
nodes:
  scenes: {uses: stac.search, with: {href: c.json}}
  chips: {uses: raster.chips, from: scenes, with: {sise: 128, overlap: -1}}
",
        "
error: `raster.chips` has no setting `sise`
  --> w.yaml:4:52
    |
  4 |   chips: {uses: raster.chips, from: scenes, with: {sise: 128, overlap: -1}}
    |                                                    ^^^^
  expected: `resolution`, `size`, `overlap`, `pad`, `mask`, `dates`
  hint: did you mean `size`?

error: `overlap` is too small
  --> w.yaml:4:72
    |
  4 |   chips: {uses: raster.chips, from: scenes, with: {sise: 128, overlap: -1}}
    |                                                                        ^^
  expected: at least 0
  found: -1

2 mistakes",
    );
}

#[test]
fn settings_deep_inside_keep_their_place() {
    expect(
        "skysense: 1
nodes:
  scenes:
    uses: stac.search
    with:
      href: c.json
      collections:
        - sentinel-2-l2a
        - 7
  chips:
    uses: raster.chips
    from: scenes
    with:
      mask: cloud
      pad: yes
      size: \"128\"
      dates:
        max: 12
        prefere: clear
",
        "
error: `collections.1` has the wrong type
  --> w.yaml:9:11
    |
  9 |         - 7
    |           ^
  expected: text
  found: 7
  hint: put it in quotes: \"7\"

error: `mask` has a value that is not known
  --> w.yaml:14:13
     |
  14 |       mask: cloud
     |             ^^^^^
  expected: one of `clouds`, `none`
  found: \"cloud\"
  hint: did you mean `clouds`?

error: `pad` has the wrong type
  --> w.yaml:15:12
     |
  15 |       pad: yes
     |            ^^^
  expected: `true` or `false`
  found: \"yes\"
  hint: write `true`: YAML 1.2 reads `yes` and `on` as text

error: `size` has the wrong type
  --> w.yaml:16:13
     |
  16 |       size: \"128\"
     |             ^^^^^
  expected: a whole number
  found: \"128\"
  hint: drop the quotes

error: `dates` has no setting `prefere`
  --> w.yaml:19:9
     |
  19 |         prefere: clear
     |         ^^^^^^^
  expected: `max`, `prefer`
  hint: did you mean `prefer`?

5 mistakes",
    );
}

#[test]
fn unknown_keys_and_the_trap_of_on() {
    expect(
        "skysense: 1
on: {new: {uses: stac.poll}}
nodez: {}
nodes:
  scenes: {uses: stac.search, wiht: {}, settings: {}, with: {href: c.json}}
",
        "
error: a workflow has no `on`
  --> w.yaml:2:1
    |
  2 | on: {new: {uses: stac.poll}}
    | ^^
  expected: `skysense`, `name`, `doc`, `params`, `nodes`, `triggers`
  hint: triggers stand under `triggers`

error: a workflow has no `nodez`
  --> w.yaml:3:1
    |
  3 | nodez: {}
    | ^^^^^
  expected: `skysense`, `name`, `doc`, `params`, `nodes`, `triggers`
  hint: did you mean `nodes`?

error: a node has no `wiht`
  --> w.yaml:5:31
    |
  5 |   scenes: {uses: stac.search, wiht: {}, settings: {}, with: {href: c.json}}
    |                               ^^^^
  expected: `uses`, `from`, `with`, `doc`
  hint: did you mean `with`?

error: a node has no `settings`
  --> w.yaml:5:41
    |
  5 |   scenes: {uses: stac.search, wiht: {}, settings: {}, with: {href: c.json}}
    |                                         ^^^^^^^^
  expected: `uses`, `from`, `with`, `doc`
  hint: settings stand under `with`

4 mistakes",
    );
}

#[test]
fn unknown_node_types_nodes_and_ports() {
    expect(
        "skysense: 1
nodes:
  scenes: {uses: stac.serach, with: {href: c.json}}
  chips: {uses: raster.chips, from: scene}
  classes: {uses: skysense.segment, from: {chip: chips}}
",
        "
error: there is no node type `stac.serach`
  --> w.yaml:3:18
    |
  3 |   scenes: {uses: stac.serach, with: {href: c.json}}
    |                  ^^^^^^^^^^^
  expected: `raster.chips`, `skysense.segment`, `stac.search`, `stac.write`
  hint: did you mean `stac.search`?

error: there is no node `scene`
  --> w.yaml:4:37
    |
  4 |   chips: {uses: raster.chips, from: scene}
    |                                     ^^^^^
  expected: `scenes`, `classes`
  hint: did you mean `scenes`?

error: `skysense.segment` has no port `chip`
  --> w.yaml:5:44
    |
  5 |   classes: {uses: skysense.segment, from: {chip: chips}}
    |                                            ^^^^
  expected: `chips`, `model`
  hint: did you mean `chips`?

3 mistakes",
    );
}

#[test]
fn edges_of_the_wrong_kind_and_missing_ones() {
    expect(
        "skysense: 1
nodes:
  scenes: {uses: stac.search, with: {href: c.json}}
  classes: {uses: skysense.segment, from: scenes}
  map: {uses: stac.write, with: {href: out/}}
",
        "
error: `scenes` does not give what port `chips` of `skysense.segment` takes
  --> w.yaml:4:43
    |
  4 |   classes: {uses: skysense.segment, from: scenes}
    |                                           ^^^^^^
  expected: `chip`
  found: `item`, from `stac.search`
  hint: put a node between them that uses `raster.chips`

error: `stac.write` needs an edge into port `predictions`
  --> w.yaml:5:3
    |
  5 |   map: {uses: stac.write, with: {href: out/}}
    |   ^^^
  expected: `from: <node>`, a node that gives `prediction`, `feature`

error: the settings of `stac.write` need `collection`
  --> w.yaml:5:15
    |
  5 |   map: {uses: stac.write, with: {href: out/}}
    |               ^^^^^^^^^^

3 mistakes",
    );
}

#[test]
fn cycles_are_walked() {
    expect(
        "skysense: 1
nodes:
  a: {uses: raster.chips, from: c}
  b: {uses: raster.chips, from: a}
  c: {uses: raster.chips, from: b}
",
        "
error: `c` does not give what port `items` of `raster.chips` takes
  --> w.yaml:3:33
    |
  3 |   a: {uses: raster.chips, from: c}
    |                                 ^
  expected: `item`
  found: `chip`, from `raster.chips`

error: these nodes read each other in a circle
  --> w.yaml:3:33
    |
  3 |   a: {uses: raster.chips, from: c}
    |                                 ^
  found: a ← c ← b ← a
  hint: take one of the edges out: data flows one way only

error: `a` does not give what port `items` of `raster.chips` takes
  --> w.yaml:4:33
    |
  4 |   b: {uses: raster.chips, from: a}
    |                                 ^
  expected: `item`
  found: `chip`, from `raster.chips`

error: `b` does not give what port `items` of `raster.chips` takes
  --> w.yaml:5:33
    |
  5 |   c: {uses: raster.chips, from: b}
    |                                 ^
  expected: `item`
  found: `chip`, from `raster.chips`

4 mistakes",
    );
}

#[test]
fn a_node_that_reads_itself() {
    let found = faults("skysense: 1\nnodes:\n  a: {uses: raster.chips, from: a}\n", &[]);
    let cycle = found.iter().find(|fault| fault.code == "cycle").expect("a circle of one");
    assert_eq!(cycle.found.as_deref(), Some("a ← a"));
}

#[test]
fn params_are_typed() {
    expect(
        "skysense: 1
params:
  size: {type: int, default: 128}
  share: {type: number, default: 1.5, max: 1}
  level: {type: enum, default: high}
  when: {type: datetime, default: 2021-02-30}
  catalog: {default: c.json}
nodes:
  scenes: {uses: stac.search, with: {href: c.json}}
",
        "
error: there is no param type `int`
  --> w.yaml:3:16
    |
  3 |   size: {type: int, default: 128}
    |                ^^^
  expected: `string`, `uri`, `path`, `model`, `number`, `integer`, `boolean`, `datetime`, `duration`, `bbox`, `enum`
  hint: did you mean `integer`?

error: the default of param `share` does not fit its type
  --> w.yaml:4:34
    |
  4 |   share: {type: number, default: 1.5, max: 1}
    |                                  ^^^
  expected: a number of at most 1
  found: 1.5

error: param `level` lists no values
  --> w.yaml:5:3
    |
  5 |   level: {type: enum, default: high}
    |   ^^^^^
  expected: `values: [one, another]`

error: the default of param `level` does not fit its type
  --> w.yaml:5:32
    |
  5 |   level: {type: enum, default: high}
    |                                ^^^^
  expected: one of none
  found: \"high\"

error: the default of param `when` does not fit its type
  --> w.yaml:6:35
    |
  6 |   when: {type: datetime, default: 2021-02-30}
    |                                   ^^^^^^^^^^
  expected: a date like 2021-03-01, a datetime of RFC 3339, or an interval START/END
  found: \"2021-02-30\"

error: param `catalog` has no type
  --> w.yaml:7:3
    |
  7 |   catalog: {default: c.json}
    |   ^^^^^^^
  expected: `string`, `uri`, `path`, `model`, `number`, `integer`, `boolean`, `datetime`, `duration`, `bbox`, `enum`

6 mistakes",
    );
}

#[test]
fn references_are_whole_and_have_to_be_set() {
    expect(
        "skysense: 1
params:
  catalog: {type: uri}
nodes:
  scenes:
    uses: stac.search
    with:
      href: $catalog
      datetime: $dates
      collections: [\"${env:COLLECTION}\", \"${HOME}\", s2-$catalog]
      token: ${secret:TOKEN}
",
        "
error: param `catalog` has no value
  --> w.yaml:8:13
    |
  8 |       href: $catalog
    |             ^^^^^^^^
  hint: give it one with `-p catalog=…`, or a `default` in `params`

error: there is no param `dates`
  --> w.yaml:9:17
    |
  9 |       datetime: $dates
    |                 ^^^^^^
  expected: one of the params: `catalog`
  hint: declare it under `params`, or write `$$dates` for text

error: the environment variable `COLLECTION` is not set
  --> w.yaml:10:21
     |
  10 |       collections: [\"${env:COLLECTION}\", \"${HOME}\", s2-$catalog]
     |                     ^^^^^^^^^^^^^^^^^^^
  hint: set it: `export COLLECTION=…`

error: a `$` at the start of a text begins a reference
  --> w.yaml:10:42
     |
  10 |       collections: [\"${env:COLLECTION}\", \"${HOME}\", s2-$catalog]
     |                                          ^^^^^^^^^
  expected: `$param`, `${env:NAME}` or `${secret:NAME}`
  found: `${HOME}`
  hint: references are whole values; write `$$` for a text that begins with `$`

error: a reference stands inside a longer text
  --> w.yaml:10:53
     |
  10 |       collections: [\"${env:COLLECTION}\", \"${HOME}\", s2-$catalog]
     |                                                     ^^^^^^^^^^^
  hint: values are whole: make the whole text a param and refer to that

error: there is no secret `TOKEN`
  --> w.yaml:11:14
     |
  11 |       token: ${secret:TOKEN}
     |              ^^^^^^^^^^^^^^^
  hint: set `SKYSENSE_SECRET_TOKEN`, or put the file `TOKEN` into the folder that SKYSENSE_SECRETS names

6 mistakes",
    );
}

#[test]
fn the_command_line_is_checked_too() {
    let text = "skysense: 1
params:
  size: {type: integer, min: 16}
nodes:
  scenes: {uses: stac.search, with: {href: c.json}}
";
    let found = faults(text, &[("sise", "32"), ("size", "8")]).to_string();
    let expected = "error: `-p sise=…`: this workflow has no param `sise`
  expected: `size`
  hint: did you mean `size`?

error: `-p size=…` does not fit the type of the param
  expected: a whole number of at least 16
  found: `8`

2 mistakes
";
    assert_eq!(found, expected);
}

#[test]
fn syntax_duplicates_and_scalars() {
    expect(
        "skysense: 1
nodes:
  scenes: {uses: stac.search, with: {href: c.json, limit: 010}}
  scenes: {uses: stac.search, with: {href: c.json, href: d.json}}
",
        "
error: `010` has a leading zero, which some YAML readers take as octal
  --> w.yaml:3:59
    |
  3 |   scenes: {uses: stac.search, with: {href: c.json, limit: 010}}
    |                                                           ^^^
  hint: write \"010\" for text, or drop the zero for a number

error: `limit` has the wrong type
  --> w.yaml:3:59
    |
  3 |   scenes: {uses: stac.search, with: {href: c.json, limit: 010}}
    |                                                           ^^^
  expected: a whole number
  found: \"010\"
  hint: drop the quotes

error: `scenes` is written twice in this map
  --> w.yaml:4:3
    |
  4 |   scenes: {uses: stac.search, with: {href: c.json, href: d.json}}
    |   ^^^^^^
  hint: keep one of them, or give it another name

error: `href` is written twice in this map
  --> w.yaml:4:52
    |
  4 |   scenes: {uses: stac.search, with: {href: c.json, href: d.json}}
    |                                                    ^^^^
  hint: keep one of them, or give it another name

4 mistakes",
    );
}

#[test]
fn tabs_and_open_brackets() {
    let tab = faults("skysense: 1\nnodes:\n\tscenes: {}\n", &[]);
    let tab = tab.iter().next().expect("a fault");
    assert_eq!(
        (tab.code.as_str(), tab.hint.as_deref()),
        ("syntax", Some("indent with spaces: YAML does not take tabs"))
    );
    let open = faults("skysense: 1\nnodes: {scenes: {uses: stac.search}\n", &[]);
    assert_eq!(open.len(), 1);
    assert_eq!(open.iter().next().map(|fault| fault.code.as_str()), Some("syntax"));
}

#[test]
fn the_head_is_needed() {
    expect(
        "nodes: []\n",
        "
error: the first line says which format this is
  --> w.yaml:1:1
    |
  1 | nodes: []
    | ^
  expected: `skysense: 1`

error: `nodes` is a map
  --> w.yaml:1:8
    |
  1 | nodes: []
    |        ^^
  expected: a map
  found: a list

2 mistakes",
    );
    expect(
        "skysense: 2\nnodes: {a b: {uses: stac.search, with: {href: x}}, c: stac.search}\n",
        "
error: this version of the format is not known here
  --> w.yaml:1:11
    |
  1 | skysense: 2
    |           ^
  expected: `skysense: 1`
  hint: a newer file needs a newer skysense

error: `a b` is not a name
  --> w.yaml:2:9
    |
  2 | nodes: {a b: {uses: stac.search, with: {href: x}}, c: stac.search}
    |         ^^^
  hint: a name begins with a letter and holds letters, digits, `-` and `_`

error: node `c` is a map
  --> w.yaml:2:55
    |
  2 | nodes: {a b: {uses: stac.search, with: {href: x}}, c: stac.search}
    |                                                       ^^^^^^^^^^^
  expected: a map
  found: text

3 mistakes",
    );
    for empty in ["", "# nothing\n", "---\n", "skysense: 1\n", "skysense: 1\nnodes: {}\n", "- a\n", "text\n"] {
        assert!(!faults(empty, &[]).is_empty(), "{empty:?}");
    }
}

#[test]
fn bombs_and_deep_nests_end_quickly() {
    let mut bomb = String::from("skysense: 1\na: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, below) in [("b", "a"), ("c", "b"), ("d", "c"), ("e", "d"), ("f", "e"), ("g", "f")] {
        let uses = vec![format!("*{below}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{uses}]\n"));
    }
    assert_eq!(faults(&bomb, &[]).iter().last().map(|fault| fault.code.as_str()), Some("size"));
    let deep = format!("skysense: 1\nnodes: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(faults(&deep, &[]).iter().last().map(|fault| fault.code.as_str()), Some("syntax"));
    assert!(!faults("a: &a [*a]\n", &[]).is_empty());
}

/// All of these took hours or all memory when every fault kept a copy of its line.
#[test]
fn enormous_files_are_judged_and_not_swallowed() {
    // One line of nearly a megabyte, in which everything is wrong.
    let wrong = vec!["7"; 90_000].join(", ");
    let text = format!("skysense: 1\nnodes: {{s: {{uses: stac.search, with: {{href: c, collections: [{wrong}]}}}}}}\n");
    let found = faults(&text, &[]);
    assert_eq!((found.len(), found.iter().len()), (90_000, 200));
    let printed = found.to_string();
    assert!(printed.len() < 500_000, "{}", printed.len());
    assert!(printed.contains("error: 89800 more mistakes are not listed") && printed.contains("90000 mistakes"));
    let json = serde_json::to_value(&found).expect("JSON");
    assert_eq!((json.as_array().map(Vec::len), &json[200]["code"]), (Some(201), &"more".into()));
    // The same with a key for each, and all of them one name.
    let twice: String = (0..40_000).map(|n| format!("k{n}: 1, ")).collect();
    let text = format!("skysense: 1\nnodes: {{s: {{uses: stac.search, with: {{href: c, {twice}k7: 2}}}}}}\n");
    assert_eq!(faults(&text, &[]).iter().filter(|fault| fault.code == "duplicate-key").count(), 1);
    // More nodes than threads, each reading the next.
    let many: String = (0..5_000).map(|n| format!("  n{n}: {{uses: raster.chips, from: n{}}}\n", n + 1)).collect();
    let found = faults(&format!("skysense: 1\nnodes:\n{many}"), &[]);
    let size = found.iter().find(|fault| fault.code == "size").expect("too many nodes");
    assert_eq!(size.message, "5000 nodes, and each is a thread while the workflow runs");
    // Numbers beyond any type.
    for number in ["1e400", "99999999999999999999999", "0x1_0000_0000_0000_0000_0", "-1e999"] {
        let text = format!("skysense: 1\nnodes: {{s: {{uses: stac.search, with: {{href: c, limit: {number}}}}}}}\n");
        assert!(!faults(&text, &[]).is_empty(), "{number}");
    }
}

#[test]
fn odd_texts_give_faults_and_never_panic() {
    let seeds = [
        "skysense: 1\nnodes:\n  a: {uses: stac.search, with: {href: $x, limit: [1, {b: 2}]}, from: {p: q}}\n",
        "params: {a: {type: bbox, default: [1, 2, 3, 4]}, b: {type: enum, values: [a, 1]}}\ntriggers: {t: {uses: x, with: {e: 1m}}}\n",
        "a: \"\\u00e4\"\nb: |\n  text\n   more\n? key\n: value\nc: !!str 5\nd: 'it''s'\n",
    ];
    for seed in seeds {
        for cut in seed.char_indices().map(|(at, _)| at) {
            for odd in
                ["", "\t", "{", "]", ": ", "é", "\u{feff}", "- ", "&a", "*a", "\"", "\0", "$", "%", "---\n", "!x "]
            {
                let text = format!("{}{odd}{}", &seed[..cut], &seed[cut..]);
                let source = Source::from_text("w.yaml", &text);
                let bindings = Bindings { params: &[], folder: "/here".into(), surroundings: &Nothing, require: false };
                if let Err(faults) = Spec::from_source(&source, &types::types(), &bindings) {
                    assert!(!faults.to_string().is_empty());
                }
                let _ = skysense_engine::format(&source);
            }
        }
    }
}
