//! Generates the event type, its encoding and the field list from `datamap.toml`, the single definition of
//! what may be stored. Output: `$OUT_DIR/event.rs`, included by `src/event.rs`.

#![allow(clippy::disallowed_methods)] // Cargo speaks to a build script through the environment.

use std::{env, fmt::Write as _, fs, path::Path};

#[derive(serde::Deserialize)]
struct DataMap {
    field: Vec<Field>,
}

#[derive(serde::Deserialize)]
struct Field {
    name: String,
    r#type: String,
    #[serde(default)]
    values: Vec<String>,
    category: String,
    #[serde(default)]
    exempt: bool,
    #[serde(default)]
    campaign: bool,
    purpose: String,
    generalisation: String,
}

fn camel(snake: &str) -> String {
    snake.split('_').map(|w| w[..1].to_uppercase() + &w[1..]).collect()
}

impl Field {
    /// The column type as ClickHouse prints it.
    fn column_type(&self) -> String {
        if self.r#type != "Enum8" {
            return self.r#type.clone();
        }
        let values: Vec<String> =
            self.values.iter().enumerate().map(|(i, v)| format!("'{v}' = {i}")).collect();
        format!("Enum8({})", values.join(", "))
    }

    /// 64-bit numbers are IDs; each kind has its own type.
    fn id_type(&self) -> &'static str {
        match self.name.as_str() {
            "site" => "SiteId",
            "visitor" => "VisitorKey",
            "session" => "SessionId",
            "view" => "ViewId",
            "returning" => "ReturningId",
            other => panic!("datamap.toml: field {other}: src/id.rs has no type for it"),
        }
    }

    fn rust_type(&self) -> String {
        match self.r#type.as_str() {
            "UInt64" => format!("crate::id::{}", self.id_type()),
            "UInt32" => "u32".into(),
            "UInt8" => "u8".into(),
            "Bool" => "bool".into(),
            "Date" => "crate::day::Day".into(),
            "DateTime64(3, 'UTC')" => "crate::rowbinary::Millis".into(),
            "Decimal(18, 4)" => "crate::rowbinary::Decimal4".into(),
            "String" | "LowCardinality(String)" => "compact_str::CompactString".into(),
            "Map(LowCardinality(String), String)" => {
                "Vec<(compact_str::CompactString, compact_str::CompactString)>".into()
            }
            "Array(String)" => "Vec<compact_str::CompactString>".into(),
            "Array(UInt32)" => "Vec<u32>".into(),
            "Enum8" => camel(&self.name),
            other => panic!("datamap.toml: field {}: type {other} has no Rust type", self.name),
        }
    }

    /// The policy rule that governs the field.
    fn rule(&self) -> &'static str {
        match (self.category.as_str(), self.exempt, self.campaign) {
            ("essential", false, false) => "Essential",
            ("analytics", true, false) => "Measurement",
            ("analytics", false, false) => "Analytics",
            ("preference", false, false) => "Preference",
            ("marketing", false, true) => "Campaign",
            ("marketing", false, false) => "Marketing",
            other => panic!("datamap.toml: field {}: {other:?} is no category", self.name),
        }
    }
}

fn enums(out: &mut String, fields: &[Field]) -> std::fmt::Result {
    for f in fields.iter().filter(|f| f.r#type == "Enum8") {
        let name = camel(&f.name);
        writeln!(
            out,
            "/// {}\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]\n#[repr(u8)]\npub enum {name} {{",
            f.purpose
        )?;
        for (i, v) in f.values.iter().enumerate() {
            let default = if i == 0 { "    #[default]\n" } else { "" };
            writeln!(out, "    /// Stored as `{v}`.\n{default}    {} = {i},", camel(v))?;
        }
        writeln!(
            out,
            "}}\nimpl {name} {{\n    /// All values, in stored order.\n    pub const ALL: &'static [Self] = &[{}];",
            f.values.iter().map(|v| format!("Self::{}", camel(v))).collect::<Vec<_>>().join(", ")
        )?;
        writeln!(
            out,
            "    /// The stored name.\n    pub const fn name(self) -> &'static str {{\n        match self {{"
        )?;
        for v in &f.values {
            writeln!(out, "            Self::{} => \"{v}\",", camel(v))?;
        }
        writeln!(out, "        }}\n    }}\n}}")?;
        writeln!(
            out,
            "impl crate::rowbinary::Value for {name} {{\n    fn encode(&self, out: &mut Vec<u8>) {{\n        out.push(*self as u8);\n    }}\n    fn decode(input: &mut &[u8]) -> Option<Self> {{\n        let byte = u8::decode(input)?;\n        Self::ALL.get(usize::from(byte)).copied()\n    }}\n}}"
        )?;
    }
    Ok(())
}

fn field_enum(out: &mut String, fields: &[Field]) -> std::fmt::Result {
    writeln!(
        out,
        "/// A field of the data map.\n#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\n#[repr(u8)]\npub enum Field {{"
    )?;
    for (i, f) in fields.iter().enumerate() {
        writeln!(
            out,
            "    /// {} Generalisation: {}.\n    {} = {i},",
            f.purpose,
            f.generalisation,
            camel(&f.name)
        )?;
    }
    writeln!(
        out,
        "}}\nimpl Field {{\n    /// All fields, in the order of the columns.\n    pub const ALL: &'static [Self] = &[{}];",
        fields.iter().map(|f| format!("Self::{}", camel(&f.name))).collect::<Vec<_>>().join(", ")
    )?;
    for (method, doc, ty, value) in [
        (
            "name",
            "The column's name.",
            "&'static str",
            Box::new(|f: &Field| format!("{:?}", f.name)) as Box<dyn Fn(&Field) -> String>,
        ),
        (
            "column_type",
            "The column's type as ClickHouse prints it.",
            "&'static str",
            Box::new(|f: &Field| format!("{:?}", f.column_type())),
        ),
        (
            "rule",
            "Which rule of a site's policy decides about the field.",
            "crate::policy::Rule",
            Box::new(|f: &Field| format!("crate::policy::Rule::{}", f.rule())),
        ),
    ] {
        writeln!(out, "    /// {doc}\n    pub const fn {method}(self) -> {ty} {{\n        match self {{")?;
        for f in fields {
            writeln!(out, "            Self::{} => {},", camel(&f.name), value(f))?;
        }
        writeln!(out, "        }}\n    }}")?;
    }
    writeln!(out, "}}")
}

fn event_struct(out: &mut String, fields: &[Field]) -> std::fmt::Result {
    writeln!(
        out,
        "/// A stored hit: exactly the fields of the data map, in the order of the columns.\n///\n/// A default value is an absent one.\n#[derive(Debug, Clone, PartialEq, Default)]\npub struct Event {{"
    )?;
    for f in fields {
        writeln!(out, "    /// {}\n    pub {}: {},", f.purpose, f.name, f.rust_type())?;
    }
    writeln!(out, "}}\nimpl Event {{")?;
    writeln!(
        out,
        "    #[allow(clippy::too_many_lines)] // one statement a field\n    /// Puts every field that is not in `allowed` back to its absent value.\n    pub fn retain(&mut self, allowed: FieldSet) {{"
    )?;
    for f in fields {
        writeln!(
            out,
            "        if !allowed.contains(Field::{}) {{\n            self.{} = Default::default();\n        }}",
            camel(&f.name),
            f.name
        )?;
    }
    writeln!(
        out,
        "    }}\n    #[allow(clippy::too_many_lines)] // one statement a field\n    /// The fields that have a value.\n    pub fn present(&self) -> FieldSet {{\n        let mut set = FieldSet::EMPTY;"
    )?;
    for f in fields {
        writeln!(
            out,
            "        if !crate::rowbinary::is_absent(&self.{}) {{\n            set = set.with(Field::{});\n        }}",
            f.name,
            camel(&f.name)
        )?;
    }
    writeln!(out, "        set\n    }}")?;
    writeln!(
        out,
        "    /// Appends the row in ClickHouse's RowBinary.\n    pub fn encode(&self, out: &mut Vec<u8>) {{"
    )?;
    for f in fields {
        writeln!(out, "        crate::rowbinary::Value::encode(&self.{}, out);", f.name)?;
    }
    writeln!(
        out,
        "    }}\n    /// Reads a row in RowBinary and moves `input` behind it; `None` if it is cut short or invalid.\n    pub fn decode(input: &mut &[u8]) -> Option<Self> {{\n        Some(Self {{"
    )?;
    for f in fields {
        writeln!(out, "            {}: crate::rowbinary::Value::decode(input)?,", f.name)?;
    }
    writeln!(out, "        }})\n    }}\n}}")?;
    writeln!(
        out,
        "/// The column names, in order, for `INSERT INTO events (…)`.\npub const COLUMNS: &str = {:?};",
        fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ")
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=datamap.toml");
    let map: DataMap = toml::from_str(&fs::read_to_string("datamap.toml")?)?;
    assert!(map.field.len() <= 128, "FieldSet holds at most 128 fields");
    let mut out = String::new();
    enums(&mut out, &map.field)?;
    field_enum(&mut out, &map.field)?;
    event_struct(&mut out, &map.field)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("event.rs"), out)?;
    Ok(())
}
