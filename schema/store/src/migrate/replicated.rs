//! Statements for servers with Keeper: the same tables, replicated.

/// A server's position in a cluster, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which shard.
    pub shard: usize,
    /// Which replica of the shard.
    pub replica: usize,
}

/// `statement` with its `…MergeTree` engine replicated under Keeper's path `/sotto/{database}/{table}/sN`
/// (ClickHouse fills in database and table); other statements are left unchanged.
pub fn replicated(statement: &str, place: Place) -> String {
    let Some(at) = statement.find("ENGINE = ").map(|at| at + "ENGINE = ".len()) else {
        return statement.to_owned();
    };
    let (before, engine) = statement.split_at(at);
    let len = engine.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(engine.len());
    let (name, rest) = engine.split_at(len);
    if !name.ends_with("MergeTree") || name.starts_with("Replicated") {
        return statement.to_owned();
    }
    let path = format!("'/sotto/{{database}}/{{table}}/s{}', 'r{}'", place.shard + 1, place.replica + 1);
    let rest = match rest.strip_prefix('(') {
        Some(arguments) if arguments.starts_with(')') => format!("({path}{arguments}"),
        Some(arguments) => format!("({path}, {arguments}"),
        None => format!("({path}){rest}"),
    };
    [before, "Replicated", name, &rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::{MIGRATIONS, statements};

    const PLACE: Place = Place { shard: 1, replica: 0 };

    #[test]
    fn engine_keeps_its_arguments_behind_those_of_keeper() {
        let path = "'/sotto/{database}/{table}/s2', 'r1'";
        for (engine, expected) in [
            ("MergeTree\nORDER BY x", format!("ReplicatedMergeTree({path})\nORDER BY x")),
            ("MergeTree() ORDER BY x", format!("ReplicatedMergeTree({path}) ORDER BY x")),
            (
                "ReplacingMergeTree(version, deleted)\nORDER BY x",
                format!("ReplicatedReplacingMergeTree({path}, version, deleted)\nORDER BY x"),
            ),
            ("ReplicatedMergeTree('a', 'b')", "ReplicatedMergeTree('a', 'b')".into()),
            ("Distributed('c', 'd', 'e')", "Distributed('c', 'd', 'e')".into()),
        ] {
            let table = "CREATE TABLE t (x UInt8) ENGINE = ";
            assert_eq!(replicated(&[table, engine].concat(), PLACE), [table, &expected].concat());
        }
        assert_eq!(replicated("ALTER TABLE t ADD COLUMN x UInt8", PLACE), "ALTER TABLE t ADD COLUMN x UInt8");
    }

    #[test]
    fn every_table_of_the_migrations_becomes_replicated() {
        for migration in MIGRATIONS {
            for statement in statements(migration.sql).iter().filter(|s| s.starts_with("CREATE TABLE")) {
                let engines = replicated(statement, PLACE).matches("ENGINE = Replicated").count();
                assert_eq!(engines, 1, "{}: {statement}", migration.name);
            }
        }
    }
}
