//! Plugins from outside: the example in C is built and run; libraries that do not fit are refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use skysense_abi::{Host, NoHost, Plugin};
use skysense_engine::{
    Bindings, Cancel, NoEvents, NodeType, Outcome, PlanOptions, PluginSet, RunOptions, SearchPath, Spec, plan, run,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compiles a C file to a shared library.
fn compile(source: &Path, folder: &Path, name: &str, defines: &[&str]) -> PathBuf {
    let library = folder.join(format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
    let result = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-I"])
        .arg(root().join("plugin/abi/include"))
        .args(defines)
        .arg(source)
        .arg("-o")
        .arg(&library)
        .output()
        .expect("a C compiler");
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    library
}

fn text(folder: &Path, name: &str, code: &str) -> PathBuf {
    let path = folder.join(format!("{name}.c"));
    std::fs::write(&path, code).unwrap();
    compile(&path, folder, name, &[])
}

#[test]
fn the_example_in_c_runs_through_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    compile(&root().join("examples/plugin-c/count.c"), folder.path(), "count", &[]);
    let mut plugins = PluginSet::discover(&SearchPath::default().with(folder.path()));
    assert!(plugins.refused().is_empty(), "{:?}", plugins.refused());
    assert_eq!(plugins.plugins()[0].description().name, "count");
    plugins.add(Plugin::linked::<support::TestPlugin>().unwrap());

    let write = format!("w: {{uses: t.write, from: c, with: {{href: {}}}}}", folder.path().join("out.bin").display());
    let nodes =
        ["a: {uses: t.numbers, with: {batches: 9}}", "c: {uses: table.count, from: a, with: {every: 4}}", &write];
    let spec = support::spec(&plugins, &nodes).unwrap_or_else(|faults| panic!("{faults}"));
    let plan = plan(&spec, &plugins, &PlanOptions::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let mut options = RunOptions::default();
    options.runs = folder.path().join("runs");
    let report = run(plan, &plugins, &options, Arc::new(NoEvents)).unwrap();
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    let bytes = std::fs::read(folder.path().join("out.bin")).unwrap();
    let numbers: Vec<i64> = bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(numbers, [9000, 9]);
    let log = std::fs::read_to_string(report.report.with_file_name("log.jsonl")).unwrap();
    assert!(log.contains("8 batches"), "{log}");

    // Faults of the plugin's plan stand at their place in the file.
    let nodes = ["a: {uses: t.numbers, with: {batches: 9}}", "c: {uses: table.count, from: a, with: {every: 0}}"];
    let error = match support::spec(&plugins, &nodes) {
        Err(faults) => faults.to_string(),
        Ok(spec) => skysense_engine::plan(&spec, &plugins, &PlanOptions::default()).unwrap_err().to_string(),
    };
    assert!(error.contains("test.yaml:5:") && error.contains("every"), "{error}");

    // An error from the node before comes through the C node whole, with the name of its own node.
    let nodes = ["a: {uses: t.numbers, with: {batches: 9, fail_at: 3}}", "c: {uses: table.count, from: a}"];
    let spec = support::spec(&plugins, &nodes).unwrap();
    let plan = skysense_engine::plan(&spec, &plugins, &PlanOptions::default()).unwrap();
    let report = run(plan, &plugins, &options, Arc::new(NoEvents)).unwrap();
    assert_eq!(report.error.as_ref().map(|e| e.place["node"].as_str()), Some("a"), "{report:?}");
}

#[test]
fn the_workflow_of_the_example_in_c_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    compile(&root().join("examples/plugin-c/count.c"), folder.path(), "count", &[]);
    let plugins = PluginSet::discover(&SearchPath::default().with(folder.path()));
    let path = root().join("examples/plugin-c/workflow.yaml");
    // It reads items with a node of the main plugin, which this crate does not know.
    let search = json!({"name": "stac.search", "summary": "Finds items", "output": "item", "settings": {
        "type": "object", "properties": {"href": {"type": "string"}}, "additionalProperties": false}});
    let search: NodeType = serde_json::from_value(search).unwrap();
    let types = plugins.node_types().iter().cloned().chain([search]).collect();
    let spec = Spec::load(&path, &types, &Bindings::of_process(&[])).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(spec.nodes[1].uses, "table.count");
}

const TABLE: &str = r#"
#include <skysense_plugin.h>
#include <string.h>
static int32_t describe(SkysenseBuffer *out, SkysenseBuffer *error) {
  static const char *text = "{\"name\":\"odd\",\"version\":\"0\",\"nodes\":[{\"name\":\"odd.node\",\"summary\":\"s\","
    "\"inputs\":[],\"output\":\"number\",\"settings\":{}}]}";
  (void)error; out->data = text; out->len = strlen(text); return SKYSENSE_OK;
}
"#;

#[test]
fn libraries_that_do_not_fit_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let plan_and_run = "
static int32_t plan(SkysenseText n, SkysenseText s, const SkysensePlanInput *const *i, size_t c, const SkysenseHost *h,
  SkysensePlanOutput *o, SkysenseBuffer *e) { (void)n;(void)s;(void)i;(void)c;(void)h;(void)o;(void)e; return 1; }
static int32_t run(SkysenseText n, SkysenseText s, const SkysensePlanned *p, const SkysenseRunInput *const *i, size_t c,
  const SkysenseHost *h, struct ArrowArrayStream *o, SkysenseBuffer *e)
  { (void)n;(void)s;(void)p;(void)i;(void)c;(void)h;(void)o;(void)e; return 1; }";
    let table = |major: &str, size: &str| {
        format!(
            "{TABLE}{plan_and_run}\nstatic const SkysensePlugin t = {{{size}, {major}, 9, describe, plan, run, 0}};\n\
             SKYSENSE_EXPORT const SkysensePlugin *skysense_plugin(void) {{ return &t; }}\n"
        )
    };
    text(f, "a_newer", &table("SKYSENSE_ABI_MAJOR + 1", "sizeof(SkysensePlugin)"));
    text(f, "b_short", &table("SKYSENSE_ABI_MAJOR", "16"));
    text(f, "c_other", "int nothing;");
    text(
        f,
        "d_null",
        "#include <skysense_plugin.h>\nSKYSENSE_EXPORT const SkysensePlugin *skysense_plugin(void) { return 0; }",
    );
    std::fs::write(f.join(format!("e_text{}", std::env::consts::DLL_SUFFIX)), "no library").unwrap();
    // A newer minor version of the same major works, and so does a table that ends before `call`.
    text(f, "f_minor", &table("SKYSENSE_ABI_MAJOR", "offsetof(SkysensePlugin, call)"));
    text(f, "g_twice", &table("SKYSENSE_ABI_MAJOR", "sizeof(SkysensePlugin)"));

    let plugins = PluginSet::discover(&SearchPath::default().with(f));
    let reasons: Vec<_> = plugins.refused().iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(plugins.plugins().len(), 1, "{reasons:?}");
    assert_eq!(plugins.plugins()[0].abi(), (1, 9));
    let expected = [
        "no library",
        "speaks ABI 2.9, this engine speaks 1.0",
        "lacks describe, plan or run",
        "does not export",
        "gave no table",
        "odd.node",
    ];
    for expected in &expected[1..] {
        assert!(reasons.iter().any(|r| r.contains(expected)), "{expected}: {reasons:?}");
    }
    assert_eq!(reasons.len(), 6, "{reasons:?}");

    let host = Host::new(NoHost);
    let plugin = &plugins.plugins()[0];
    let faults = plugin.plan("odd.node", &json!({}), &Default::default(), &host).unwrap_err();
    assert!(faults[0].message.contains("did not say why"), "{faults:?}");
    assert!(plugin.call("x", &Value::Null, &host).unwrap_err().message.contains("no tools"));
}

/// A plugin whose stream gives arrays that break the Arrow C Data interface, chosen by its setting.
const BAD: &str = r#"
static struct ArrowSchema child;
static struct ArrowSchema *children[1] = {&child};
static void keep_schema(struct ArrowSchema *s) { s->release = 0; }
static void keep_array(struct ArrowArray *a) { a->release = 0; }
static int schema_of(struct ArrowSchema *out) {
  memset(&child, 0, sizeof child); child.format = "u"; child.name = "s"; child.release = keep_schema;
  memset(out, 0, sizeof *out); out->format = "+s"; out->name = ""; out->n_children = 1; out->children = children;
  out->release = keep_schema; return 0;
}
static int32_t plan(SkysenseText n, SkysenseText s, const SkysensePlanInput *const *i, size_t c, const SkysenseHost *h,
  SkysensePlanOutput *o, SkysenseBuffer *e) {
  (void)n;(void)s;(void)i;(void)c;(void)h;(void)e; o->plan.data = "{}"; o->plan.len = 2; schema_of(&o->schema); return 0;
}
static int get_schema(struct ArrowArrayStream *s, struct ArrowSchema *out) { (void)s; return schema_of(out); }
static const char *last_error(struct ArrowArrayStream *s) { (void)s; return 0; }
static void release(struct ArrowArrayStream *s) { s->release = 0; }
static int32_t offsets[3] = {0, 2, 1};
static const void *top_buffers[1] = {0};
static const void *buffers[3] = {0, offsets, "ab"};
static struct ArrowArray values;
static struct ArrowArray *arrays[1] = {&values};
static int get_next(struct ArrowArrayStream *s, struct ArrowArray *out) {
  char what = *(const char *)s->private_data;
  memset(&values, 0, sizeof values); memset(out, 0, sizeof *out);
  values.length = 2; values.n_buffers = 3; values.buffers = buffers; values.release = keep_array;
  out->length = 2; out->n_buffers = 1; out->buffers = top_buffers; out->n_children = 1; out->children = arrays;
  out->release = keep_array;
  switch (what) {
    case 'o': break;                          /* offsets that go back */
    case 'n': offsets[2] = -5; break;         /* a last offset below 0 */
    case 'b': values.n_buffers = 2; break;    /* a buffer too few */
    case 'm': buffers[1] = 0; break;          /* a buffer that is missing */
    case 'c': out->n_children = 0; break;     /* a column that is missing */
    case 'l': values.length = 1; break;       /* a column that is too short */
    case 'h': values.length = (int64_t)1 << 40; break;
    case 'u': offsets[2] = 2; buffers[2] = "\xff\xff"; break; /* no UTF-8 */
    case 'q': values.null_count = 1; break;   /* nulls without a bitmap */
    case 'e': return 7;                       /* an error without a word */
  }
  return 0;
}
static int32_t run(SkysenseText n, SkysenseText s, const SkysensePlanned *p, const SkysenseRunInput *const *i, size_t c,
  const SkysenseHost *h, struct ArrowArrayStream *o, SkysenseBuffer *e) {
  (void)n;(void)p;(void)i;(void)c;(void)h;(void)e;
  static char what; what = s.data[1];         /* the setting is a text: "x" */
  offsets[2] = 1; buffers[1] = offsets; buffers[2] = "ab";
  o->get_schema = get_schema; o->get_next = get_next; o->get_last_error = last_error; o->release = release;
  o->private_data = &what; return 0;
}
static const SkysensePlugin t = {sizeof(SkysensePlugin), SKYSENSE_ABI_MAJOR, 0, describe, plan, run, 0};
SKYSENSE_EXPORT const SkysensePlugin *skysense_plugin(void) { return &t; }
"#;

#[test]
fn batches_that_break_the_interface_are_errors_and_not_crashes() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = Plugin::load(&text(folder.path(), "bad", &format!("{TABLE}{BAD}"))).unwrap();
    let host = Host::new(NoHost);
    for (what, expected) in [
        ("o", "ffset"),
        ("n", "the last offset is -5"),
        ("b", "2 buffers, expected 3"),
        ("m", "a buffer is missing"),
        ("c", "0 children, expected 1"),
        ("l", ""),
        ("h", "1099511627776"),
        ("u", "tf8"),
        ("q", "1 nulls declared, 0 found"),
        ("e", "status 7"),
    ] {
        let plan = plugin.plan("odd.node", &json!(what), &Default::default(), &host).unwrap();
        let (_, mut stream) = plugin.run("odd.node", &json!(what), plan, Default::default(), &host).unwrap();
        let error = stream.next().unwrap().unwrap_err();
        let text = error.to_string().to_lowercase().replace("utf-8", "utf8");
        assert!(text.contains(&expected.to_lowercase()), "{what}: {error}");
        assert!(stream.next().is_none(), "{what}: nothing comes after an error");
    }
}

#[test]
fn cancel_is_a_switch_for_all_its_clones() {
    let cancel = Cancel::new();
    let other = cancel.clone();
    assert!(!other.is_cancelled());
    cancel.cancel();
    assert!(other.is_cancelled());
}
