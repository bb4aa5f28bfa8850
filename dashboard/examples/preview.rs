//! The dashboard with sixty days of made-up traffic, to look at while working on it:
//! `cargo run -p sotto-dashboard --example preview -- LIBRARY PORT [DIRECTORY]`.

use std::{
    error::Error,
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sotto_dashboard::{Settings, router};
use sotto_schema::{
    id::{SiteId, UserId},
    policy::Preset,
    site::Site,
};
use sotto_store::{
    account::{self, AccountKey, Hasher, NewToken, Role, Scope},
    db::Db,
    engine::{self, Embedded, Memory, child},
    migrate, sites,
};

const OWNER: &str = "ann@kite.example";
const PASSWORD: &str = "correct horse battery";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|a| a == engine::CHILD_COMMAND) {
        let library = PathBuf::from(arguments.remove(1));
        return Ok(child::serve(&library, arguments.split_off(1))?);
    }
    let [library, port, rest @ ..] = arguments.as_slice() else {
        return Err("usage: preview LIBRARY PORT [DIRECTORY]".into());
    };
    let port: u16 = port.to_string_lossy().parse()?;
    let dir = rest.first().map_or_else(|| std::env::temp_dir().join("sotto-preview"), PathBuf::from);
    tokio::runtime::Runtime::new()?.block_on(run(Path::new(library), port, dir))
}

async fn run(library: &Path, port: u16, dir: PathBuf) -> Result<(), Box<dyn Error>> {
    let settings = engine::Settings {
        dir,
        library: library.to_owned(),
        program: std::env::current_exe()?,
        memory: Memory::default(),
    };
    let embedded = Embedded::start(settings).await?;
    let databases = embedded.databases();
    migrate::migrate(&databases.writer).await?;
    let public_url = format!("http://127.0.0.1:{port}");
    let mut out = std::io::stdout();
    if account::owner_exists(&databases.writer).await? {
        writeln!(out, "signed up: {OWNER} / {PASSWORD}")?;
    } else if std::env::args().any(|a| a == "empty") {
        writeln!(out, "set up: {public_url}/setup/preview")?;
    } else {
        seed(&databases.writer).await?;
    }
    let token = account::issue(
        &databases.writer,
        UserId::NONE,
        NewToken { name: "preview", site: SiteId::NONE, scope: Scope::Read, days: None },
    )
    .await?;
    for site in sites::all(&databases.writer).await? {
        writeln!(out, "{public_url}/s/{} {}", site.key, site.name)?;
    }
    writeln!(out, "token {}", token.secret)?;
    let app = router(Settings {
        databases,
        public_url,
        sites_changed: Arc::new(|| {}),
        setup_token: Some(account::secret_hash("preview")),
        account_key: AccountKey::of_file(b"only for looking at, of no worth"),
        sends_mail: false,
        secure_cookies: false,
        modules: Vec::new(),
        script: Arc::new(|_| None),
        event_path: "/e".into(),
        geo_attribution: Some("IP geolocation by DB-IP".into()),
        stopping: tokio_util::sync::CancellationToken::new(),
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let stopped = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    embedded.stop().await;
    Ok(())
}

async fn seed(db: &Db) -> Result<(), Box<dyn Error>> {
    let hasher = Hasher::new()?;
    let owner = account::add_user(db, &hasher, OWNER, "Ann", PASSWORD).await?;
    account::grant(db, owner.id, SiteId::NONE, Role::Owner).await?;
    let site = Site {
        key: "kite0000".into(),
        ..Site::new("Kite Studio", &["kite.example"], "Europe/Paris", Preset::Cnil)?
    };
    sites::save(db, &site).await?;
    let quiet = Site {
        key: "quiet000".into(),
        ..Site::new("Quiet Harbour", &["harbour.example"], "America/New_York", Preset::Strict)?
    };
    sites::save(db, &quiet).await?;
    db.query(include_str!("preview/seed.sql")).param("site", site.id).execute().await?;
    db.query(include_str!("preview/decisions.sql")).param("site", site.id).execute().await?;
    db.query(include_str!("preview/outcomes.sql")).param("site", site.id).execute().await?;
    db.query(include_str!("preview/trouble.sql")).param("site", quiet.id).execute().await?;
    Ok(())
}
