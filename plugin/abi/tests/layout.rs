//! The C header and the Rust definitions are the same: a C program prints sizes, offsets and constants, and
//! this test compares them. The header must also compile as C++ and without warnings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::ffi_stream::FFI_ArrowArrayStream;
use skysense_abi::layout::*;

/// C struct, its size in Rust, and its fields with their offsets in Rust.
type Struct = (&'static str, usize, Vec<(&'static str, usize)>);

macro_rules! layout {
    ($c:literal, $rust:ty, $($field:ident),+) => {
        ($c, size_of::<$rust>(), vec![$((stringify!($field), offset_of!($rust, $field))),+])
    };
}

fn structs() -> Vec<Struct> {
    vec![
        layout!("SkysenseText", SkysenseText, data, len),
        layout!("SkysenseBuffer", SkysenseBuffer, data, len, release, private_data),
        layout!(
            "SkysenseHost",
            SkysenseHost,
            struct_size,
            abi_major,
            abi_minor,
            context,
            retain,
            release,
            log,
            progress,
            report,
            cancelled,
            scratch,
            about,
            lease_memory,
            release_memory,
            lease_device,
            release_device
        ),
        layout!("SkysensePlanInput", SkysensePlanInput, port, kind, facts, schema, rows),
        layout!("SkysensePlanOutput", SkysensePlanOutput, plan, schema, rows),
        layout!("SkysensePlanned", SkysensePlanned, plan, schema, rows),
        layout!("SkysenseRunInput", SkysenseRunInput, port, kind, stream),
        layout!("SkysensePlugin", SkysensePlugin, struct_size, abi_major, abi_minor, describe, plan, run, call),
        layout!(
            "struct ArrowArrayStream",
            FFI_ArrowArrayStream,
            get_schema,
            get_next,
            get_last_error,
            release,
            private_data
        ),
        // `arrow` keeps the fields of these two to itself; their layout is the interface's own.
        ("struct ArrowSchema", size_of::<FFI_ArrowSchema>(), vec![]),
        ("struct ArrowArray", size_of::<FFI_ArrowArray>(), vec![]),
    ]
}

fn constants() -> Vec<(&'static str, i64)> {
    vec![
        ("SKYSENSE_ABI_MAJOR", ABI_MAJOR.into()),
        ("SKYSENSE_ABI_MINOR", ABI_MINOR.into()),
        ("SKYSENSE_OK", OK.into()),
        ("SKYSENSE_ERROR", ERROR.into()),
    ]
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

fn compile(compiler: &str, arguments: &[&str], source: &Path, output: &Path) {
    let result = Command::new(compiler)
        .args(arguments)
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include())
        .arg(source)
        .arg("-o")
        .arg(output)
        .output()
        .unwrap_or_else(|e| panic!("{compiler} does not start ({e}): install a C compiler"));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}

#[test]
fn the_header_and_the_rust_definitions_have_one_layout() {
    let mut source = "#include <stdio.h>\n#include <skysense_plugin.h>\nint main(void) {\n".to_owned();
    for (name, _, fields) in structs() {
        writeln!(source, r#"printf("{name} %zu\n", sizeof({name}));"#).unwrap();
        for (field, _) in fields {
            writeln!(source, r#"printf("{name}.{field} %zu\n", offsetof({name}, {field}));"#).unwrap();
        }
    }
    for (name, _) in constants() {
        writeln!(source, r#"printf("{name} %lld\n", (long long){name});"#).unwrap();
    }
    source += "return 0; }\n";

    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("layout.c"), folder.path().join("layout"));
    std::fs::write(&file, source).unwrap();
    compile("cc", &["-std=c11", "-pedantic"], &file, &program);
    let printed = Command::new(&program).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let in_c: BTreeMap<&str, i64> = printed
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect();

    let mut in_rust = BTreeMap::new();
    let all = structs();
    for (name, size, fields) in &all {
        in_rust.insert((*name).to_owned(), *size as i64);
        for (field, offset) in fields {
            in_rust.insert(format!("{name}.{field}"), *offset as i64);
        }
    }
    in_rust.extend(constants().into_iter().map(|(name, value)| (name.to_owned(), value)));
    assert!(in_rust.len() > 60, "{} entries compared", in_rust.len());
    let in_c: BTreeMap<String, i64> = in_c.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    assert_eq!(in_c, in_rust);
}

#[test]
fn every_field_of_the_header_is_compared() {
    let header = std::fs::read_to_string(include().join("skysense_plugin.h")).unwrap();
    for (name, _, fields) in structs().iter().filter(|(name, ..)| name.starts_with("Skysense")) {
        let body = header.split(&format!("typedef struct {name} {{")).nth(1).unwrap_or_else(|| panic!("no {name}"));
        let body = body.split(&format!("}} {name};")).next().unwrap();
        // Comments may hold semicolons.
        let code: String =
            body.split("/*").enumerate().map(|(i, s)| if i == 0 { s } else { s.split_once("*/").unwrap().1 }).collect();
        assert_eq!(code.matches(';').count(), fields.len(), "fields of {name}");
    }
}

#[test]
fn the_header_compiles_as_cpp_and_its_guard_catches_exceptions() {
    let source = r#"
#include <skysense_plugin.h>
#include <cstdio>
#include <stdexcept>
int main() {
  SkysenseBuffer error = {};
  int status = skysense::guard(&error, []() -> int32_t { throw std::runtime_error("a \"bad\" tile"); });
  std::printf("%d %.*s\n", status, static_cast<int>(error.len), error.data);
  error.release(&error);
  status = skysense::guard(&error, []() -> int32_t { throw 7; });
  std::printf("%d %.*s\n", status, static_cast<int>(error.len), error.data);
  error.release(&error);
  return skysense::guard(&error, []() -> int32_t { return SKYSENSE_OK; });
}
"#;
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("guard.cpp"), folder.path().join("guard"));
    std::fs::write(&file, source).unwrap();
    compile("c++", &["-std=c++14"], &file, &program);
    let result = Command::new(&program).output().unwrap();
    assert!(result.status.success());
    let printed = String::from_utf8(result.stdout).unwrap();
    assert_eq!(
        printed,
        "1 {\"code\":\"exception\",\"message\":\"a 'bad' tile\"}\n\
         1 {\"code\":\"exception\",\"message\":\"an exception of unknown type\"}\n"
    );
}
