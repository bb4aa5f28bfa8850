//! The tables: as the data map says, as the golden dump says, and healed whatever interrupted a migration.

use std::{fs, path::PathBuf, sync::OnceLock};

use sotto_schema::{
    day::Day,
    event::{COLUMNS, Event, Field},
    id::{SiteId, VisitorKey},
    rowbinary::Millis,
};
use sotto_store::{
    db::Db,
    engine::{Embedded, Memory, Settings},
    migrate::{self, MIGRATIONS, MigrateError},
};
use sotto_tests::{program, workspace};

/// A ClickHouse of one's own, and databases in it.
pub(crate) struct Server {
    pub(crate) engine: Embedded,
    _dir: tempfile::TempDir,
}

pub fn library() -> PathBuf {
    let cache = std::env::var("SOTTO_CACHE")
        .map(PathBuf::from)
        .unwrap_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/sotto"));
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let dirs = fs::read_dir(&cache).unwrap().flatten().map(|e| e.path().join("libchdb.so"));
            dirs.into_iter().find(|p| p.exists()).expect("`make setup` fetches the library")
        })
        .clone()
}

impl Server {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            dir: dir.path().join("clickhouse"),
            library: library(),
            program: program(),
            memory: Memory::default(),
        };
        Self { engine: Embedded::start(settings).await.unwrap(), _dir: dir }
    }

    pub(crate) fn db(&self) -> Db {
        self.engine.databases().writer
    }

    /// Removes everything, for the next case.
    async fn empty(&self) {
        let db = self.db().without_database();
        db.query("DROP DATABASE IF EXISTS sotto SYNC").execute().await.unwrap();
    }
}

async fn dump(db: &Db) -> String {
    let names: Vec<String> = db
        .query("SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name")
        .fetch_all()
        .await
        .unwrap();
    let mut dump = String::new();
    for name in names {
        let sql = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {name:String}";
        let created: String = db.query(sql).param("name", &name).fetch_one().await.unwrap();
        dump.push_str(
            &created.replace("sotto.", "").replace(", `", ",\n    `").replace(") ENGINE", ")\nENGINE"),
        );
        dump.push_str(";\n\n");
    }
    dump
}

#[tokio::test]
async fn migrated_tables_are_those_of_the_golden_dump() {
    let server = Server::start().await;
    migrate::migrate(&server.db()).await.unwrap();
    let found = dump(&server.db()).await;
    let golden = workspace().join("schema/store/golden.sql");
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != found {
        let new = golden.with_extension("sql.new");
        fs::write(&new, &found).unwrap();
        panic!(
            "the tables are not those of {}; if that is meant, replace it by {}",
            golden.display(),
            new.display()
        );
    }
    server.engine.stop().await;
}

#[tokio::test]
async fn table_row_type_and_data_map_agree() {
    let server = Server::start().await;
    let db = server.db();
    migrate::migrate(&db).await.unwrap();
    let columns: Vec<(String, String)> = db
        .query("SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'events' ORDER BY position")
        .fetch_all()
        .await
        .unwrap();
    let fields: Vec<(String, String)> =
        Field::ALL.iter().map(|f| (f.name().to_owned(), f.column_type().to_owned())).collect();
    assert_eq!(columns, fields);
    server.engine.stop().await;
}

#[tokio::test]
async fn encoded_event_comes_back_from_the_table() {
    let server = Server::start().await;
    let db = server.db();
    migrate::migrate(&db).await.unwrap();
    let event = Event {
        site: SiteId(7),
        day: Day(20_000),
        expires: Day(20_090),
        time: Millis(1_728_000_000_123),
        visitor: VisitorKey(42),
        path: "/ä".into(),
        country: "DE".into(),
        props: vec![("k".into(), "v".into())],
        click_path: vec!["a>b".into()],
        click_at: vec![1, 2, 3, 4],
        revenue: sotto_schema::rowbinary::Decimal4(1_234_500),
        ..Event::default()
    };
    let mut row = Vec::new();
    event.encode(&mut row);
    let sql = ["INSERT INTO events (", COLUMNS, ") FORMAT RowBinary"].concat();
    let mut insert = db.client().insert_formatted_with(sql);
    insert.send(row.clone().into()).await.unwrap();
    insert.end().await.unwrap();
    let sql = ["SELECT ", COLUMNS, " FROM events"].concat();
    let mut cursor = db.query(&sql).fetch_bytes("RowBinary").unwrap();
    let back = cursor.collect().await.unwrap();
    assert_eq!(Event::decode(&mut back.as_ref()), Some(event));
    server.engine.stop().await;
}

#[tokio::test]
async fn migration_that_was_cut_between_any_two_statements_is_healed() {
    let server = Server::start().await;
    let mut whole = Vec::new();
    for m in 1..=MIGRATIONS.len() {
        migrate::migrate_to(&server.db(), m).await.unwrap();
        whole.push(dump(&server.db()).await);
    }
    server.empty().await;
    for (m, migration) in MIGRATIONS.iter().enumerate() {
        let db = server.db();
        migrate::migrate_to(&db, m).await.unwrap();
        let statements = migrate::statements(migration.sql);
        // Each start is cut one statement later than the one before: so every statement runs again after every cut, without
        // all earlier migrations for each of them.
        for cut in 1..=statements.len() {
            for statement in &statements[..cut] {
                let ran = db.query(statement).execute().await;
                ran.unwrap_or_else(|e| panic!("{}, cut after {cut} statements: {e}", migration.name));
            }
        }
        assert_eq!(migrate::migrate_to(&db, m + 1).await.unwrap(), 1);
        assert_eq!(dump(&db).await, whole[m], "{}", migration.name);
        assert_eq!(migrate::migrate_to(&db, m + 1).await.unwrap(), 0, "nothing runs twice");
    }
    server.engine.stop().await;
}

#[tokio::test]
async fn changed_or_newer_database_stops_the_start() {
    let server = Server::start().await;
    let db = server.db();
    migrate::migrate(&db).await.unwrap();
    let note = "INSERT INTO schema_migrations (version, name, checksum, applied) VALUES ({version:UInt32}, 'x', 'y', now64(3) + 1)";
    db.query(note).param("version", 1u32).execute().await.unwrap();
    assert!(
        matches!(migrate::migrate(&db).await, Err(MigrateError::Changed { name }) if name == MIGRATIONS[0].name)
    );
    let newer = MIGRATIONS.last().unwrap().version + 1;
    db.query(note).param("version", newer).execute().await.unwrap();
    assert!(matches!(migrate::migrate(&db).await, Err(MigrateError::Newer { found, .. }) if found == newer));
    server.engine.stop().await;
}

#[tokio::test]
async fn batch_that_is_sent_again_with_its_token_is_kept_once() {
    let server = Server::start().await;
    let db: Db = server.db();
    migrate::migrate(&db).await.unwrap();
    let mut row = Vec::new();
    Event { site: SiteId(1), day: Day(20_000), expires: Day(20_090), ..Event::default() }.encode(&mut row);
    let send = async |token: &str| {
        let sql = ["INSERT INTO events (", COLUMNS, ") FORMAT RowBinary"].concat();
        let mut insert =
            db.client().insert_formatted_with(sql).with_setting("insert_deduplication_token", token);
        insert.send(row.clone().into()).await.unwrap();
        insert.end().await.unwrap();
    };
    for token in ["a", "a", "b", "a"] {
        send(token).await;
    }
    let kept: u64 = db.query("SELECT count() FROM events").fetch_one().await.unwrap();
    assert_eq!(kept, 2);
    server.engine.stop().await;
}
