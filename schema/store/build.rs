//! Lists the migrations, so that adding one only takes a new file. Output: `$OUT_DIR/migrations.rs`, included
//! by `src/migrate.rs`.

#![allow(clippy::disallowed_methods)] // Cargo speaks to a build script through the environment.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let manifest = env::var("CARGO_MANIFEST_DIR")?;
    let mut files: Vec<String> = fs::read_dir("migrations")?
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    files.retain(|f| f.ends_with(".sql"));
    files.sort();
    let mut list = String::from("/// All migrations, in order.\npub const MIGRATIONS: &[Migration] = &[\n");
    for file in &files {
        let version: u32 = file.split('_').next().unwrap_or_default().parse()?;
        writeln!(
            list,
            "    Migration {{ version: {version}, name: {file:?}, sql: include_str!(concat!({manifest:?}, \"/migrations/{file}\")) }},"
        )?;
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), list)?;
    Ok(())
}
