//! The library of the page's map: given by its own names alone, and asked about where it is not.

use serde_json::json;

use crate::bench::{Field, workflow};

const FILES: [&str; 4] = ["maplibre-gl-csp.js", "maplibre-gl-csp-worker.js", "maplibre-gl.css", "LICENSE.txt"];

#[test]
fn the_library_is_given_by_its_own_names_and_nothing_beside_it() {
    let field = Field::new(&workflow("", ""));
    std::fs::create_dir(field.path("map")).unwrap();
    for name in FILES {
        field.bench.write(&format!("map/{name}"), &format!("this is {name}"));
    }
    field.bench.write("map/secret.txt", "nobody's business");
    let folder = field.path("map");
    let folder = folder.to_str().unwrap();
    let check = field.run(&["serve", "flows", "--check", "--json", "--map-library", folder]).exits(0).json();
    assert_eq!(check["map"], json!(folder));
    let (_serving, client) = field.serve_api(&["--map-library", folder]);
    for name in FILES {
        let path = format!("/maplibre/{name}");
        let reply = client.get(&path).is(200);
        assert_eq!(reply.text(), format!("this is {name}"));
        let kind = match name.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            _ => "text/plain",
        };
        assert!(reply.head.contains(&format!("content-type: {kind}")), "{}", reply.head);
        // Whoever has it is told so, and not given it again.
        let tag = reply.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        let again = client.send("GET", &path, &[("If-None-Match", &tag)], b"").is(304);
        assert!(again.body.is_empty());
    }
    for name in ["secret.txt", "..%2fserve.log", "..%2fmap%2fsecret.txt", "%2fetc%2fpasswd", "maplibre-gl.css%00", "."]
    {
        client.get(&format!("/maplibre/{name}")).is(404);
    }
    let page = client.get("/").is(200);
    for rule in ["default-src 'none'", "script-src 'self'", "worker-src 'self'", "connect-src 'self'"] {
        assert!(page.head.contains(rule), "{}", page.head);
    }
    assert!(!page.head.contains("blob:") && !page.head.contains("unsafe"), "{}", page.head);
    // One that is not whole is no library.
    std::fs::remove_file(field.path("map/maplibre-gl-csp-worker.js")).unwrap();
    let wrong = field.run(&["serve", "flows", "--check", "--map-library", folder]).exits(2);
    assert!(wrong.stderr.contains("maplibre-gl-csp-worker.js"), "{}", wrong.stderr);
}

#[test]
fn where_there_is_none_the_check_and_the_doctor_say_how_to_get_it() {
    let field = Field::new(&workflow("", ""));
    for arguments in [&["serve", "flows", "--check"][..], &["doctor"][..]] {
        let mut command = field.bench.command(arguments);
        let cache = field.path("no-cache");
        let output = command.env("XDG_CACHE_HOME", &cache).env_remove("SKYSENSE_MAPLIBRE").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("./x setup") && said.contains(cache.to_str().unwrap()), "{said}");
    }
}
