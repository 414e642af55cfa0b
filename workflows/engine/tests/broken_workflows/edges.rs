//! Nodes that are not there, edges that do not fit, cycles.

use crate::{expect, faults};

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
