//! Parameters, references and the command line.

use crate::{expect, faults};

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
