//! The text itself: syntax, size, what is no workflow at all.

use skysense_engine::{Bindings, Source, Spec};

use crate::{Nothing, expect, faults, types};

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
