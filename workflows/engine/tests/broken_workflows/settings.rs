//! Settings and keys that a node does not have.

use crate::expect;

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
