//! Takes over the names of the built web assets, which carry a hash of their content.

#![allow(clippy::disallowed_methods)] // Cargo speaks to a build script through the environment.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=web/dist/manifest.json");
    println!("cargo::rerun-if-changed=askama.toml");
    let Ok(manifest) = fs::read_to_string("web/dist/manifest.json") else {
        println!("cargo::error=the dashboard's web assets are not built; run `make assets`");
        return;
    };
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("manifest.json is JSON");
    let mut out = String::new();
    for (name, doc) in [("app.js", "script"), ("app.css", "style sheet"), ("favicon.svg", "icon")] {
        let Some(file) = manifest[name].as_str() else {
            println!("cargo::error=web/dist/manifest.json lacks {name}; run `make assets`");
            return;
        };
        let constant = name.replace('.', "_").to_uppercase();
        writeln!(out, "/// Where the {doc} is.\npub const {constant}: &str = \"/assets/{file}\";")
            .expect("a string takes text");
    }
    let dir = env::var_os("OUT_DIR").expect("cargo names an output directory");
    fs::write(Path::new(&dir).join("assets.rs"), out).expect("the output directory can be written");
}
