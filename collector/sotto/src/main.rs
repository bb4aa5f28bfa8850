//! `sotto`: collector, dashboard and jobs in one program.
//!
//! The only place that reads the environment, and the only one that knows the dashboard.

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use sotto_collector::{
    config::Config,
    http::script::{Facts, Scripts},
    supervise::Part,
    visitor::salts::keeper,
};
use sotto_store::{db::Databases, engine};

mod account_key;
mod cli;
mod databases;
mod demo;
mod environment;
mod failure;
mod post;
mod serve;
mod webhooks;

use cli::{
    Args, Command,
    output::{self, Listing},
};
use environment::Environment;
use failure::{Exit, Failure, complain};
use serve::rounds::Sender;
use sotto_dashboard::{
    filter::{Filter, Filters, goals},
    report,
};

/// A hit is a few dozen small allocations on one thread, freed on another: measured a third cheaper than with
/// the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|a| a == engine::CHILD_COMMAND) {
        return serve_clickhouse(arguments);
    }
    if std::env::args_os().nth(1).is_some_and(|a| a == keeper::KEEPER_COMMAND) {
        return keep_salts();
    }
    let args = Args::parse();
    let environment = Environment::read();
    match run(args, environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&failure);
            ExitCode::from(failure.exit.code())
        }
    }
}

/// The child process of the embedded server; see [`engine`].
fn serve_clickhouse(mut arguments: std::env::ArgsOs) -> ExitCode {
    let Some(library) = arguments.next() else { return ExitCode::from(2) };
    match engine::child::serve(library.as_ref(), arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&Failure::new(error));
            ExitCode::FAILURE
        }
    }
}

/// The process that holds salts while this program does not run; see [`keeper`].
fn keep_salts() -> ExitCode {
    let Some(socket) = std::env::args_os().nth(2) else { return ExitCode::from(2) };
    // Nobody listens: what it would say is that the salts are gone.
    keeper::serve(socket.as_ref()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn run(args: Args, environment: Environment) -> Result<(), Failure> {
    let config = cli::configuration(&args, &environment)?;
    let paths = environment.paths(&config);
    cli::init_log(environment.log.as_deref(), args.json_log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("sotto")
        .enable_all()
        .build()
        .map_err(Failure::new)?;
    #[allow(clippy::wildcard_enum_match_arm)] // All other commands are dispatched where they live.
    runtime.block_on(async {
        match args.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(config, paths, Some(FRONT)).await,
            Command::Collect => serve::run(config, paths, None).await,
            Command::Dashboard => serve::dashboard::run(config, paths, FRONT).await,
            Command::Report(report) => {
                databases::with_databases(&config, &paths, async |databases| {
                    report_command(&databases, report).await
                })
                .await
            }
            Command::Share(command) => {
                databases::with_databases(&config, &paths, async |databases| {
                    cli::share::run(command, &databases, &config, fixed_filters).await
                })
                .await
            }
            Command::Mail(command) => {
                databases::with_databases(&config, &paths, async |databases| {
                    cli::mail::run(command, post::make(&config, databases)?).await
                })
                .await
            }
            Command::Webhook(command) => {
                databases::with_databases(&config, &paths, async |databases| {
                    webhooks::run(command, &databases, &config).await
                })
                .await
            }
            Command::Doctor(args) => {
                let mail = post::check(&config).await;
                cli::doctor::run(args, &config, &paths, mail).await
            }
            other => cli::dispatch(other, config, paths, FRONT).await,
        }
    })
}

/// What the server needs of the dashboard.
const FRONT: serve::Front<'static> = serve::Front { dashboard: &dashboard, rounds: &rounds };

/// What is sent in rounds: mail, where a mail server is configured, and webhooks, where there is an account key to open them.
fn rounds(config: &Config, databases: &Databases) -> Result<Vec<Sender>, Failure> {
    let mail = post::make(config, databases.clone())?.map(|send| Sender { part: Part::Mail, send });
    let hooks = account_key::open(config).map(|key| webhooks::messenger(config, databases.clone(), key));
    let hooks = hooks.map(|messenger| Sender { part: Part::Webhooks, send: webhooks::send(messenger) });
    Ok(mail.into_iter().chain(hooks).collect())
}

/// The filters of a shared link, as addresses have them.
fn fixed_filters(typed: &[String]) -> Result<Vec<String>, Failure> {
    let filters = Filters::parse_equations(typed.iter().map(String::as_str))
        .map_err(|error| Failure::new(error).ending(Exit::Usage))?;
    // Everything contains nothing: it would lay down nothing.
    if filters.each().any(Filter::lays_down_nothing) {
        return Err(Failure::usage("a fixed filter has a field, a condition and a value"));
    }
    Ok(filters.each().map(ToString::to_string).collect())
}

/// The dashboard as a service beside the collector's routes.
fn dashboard(parts: serve::dashboard::DashboardParts) -> sotto_collector::http::stack::HttpService {
    let router = sotto_dashboard::router(sotto_dashboard::Settings {
        databases: parts.databases,
        secure_cookies: parts.public_url.starts_with("https://"),
        public_url: parts.public_url,
        sites_changed: Arc::new(move || parts.sites_changed.notify_one()),
        setup_token: parts.setup_token.as_deref().map(sotto_store::account::secret_hash),
        account_key: parts.account_key,
        sends_mail: parts.sends_mail,
        modules: modules(&parts.scripts),
        script: Arc::new(move |modules| facts(&parts.scripts, modules)),
        event_path: "/e".into(),
        geo_attribution: parts.geo_attribution,
        stopping: parts.stopping,
    });
    serve::dashboard::from_router(router)
}

/// The script's modules in the dashboard's type.
fn modules(scripts: &Scripts) -> Vec<sotto_dashboard::ScriptModule> {
    let all = scripts.modules().into_iter();
    all.map(|m| sotto_dashboard::ScriptModule { name: m.name, brotli: m.brotli, requires: m.requires })
        .collect()
}

/// A combination of modules in the dashboard's type.
fn facts(scripts: &Scripts, modules: &[&str]) -> Option<sotto_dashboard::ScriptInfo> {
    let Facts { path, versioned_path, integrity, brotli_bytes } = scripts.facts(modules)?;
    Some(sotto_dashboard::ScriptInfo { path, versioned_path, integrity, brotli_bytes })
}

/// `sotto report`: the dashboard's queries, answered as a table or JSON.
async fn report_command(databases: &Databases, args: cli::ReportArgs) -> Result<(), Failure> {
    let site = cli::site::find(&databases.reader, &args.site).await?;
    let today = sotto_schema::clock::now().in_tz(&site.time_zone)?.date();
    let scope = report::Scope { site: site.id, time_zone: site.time_zone };
    let metrics = args.metrics.join(",");
    let limit = args.limit.to_string();
    let filters = goals::resolved(&databases.reader, site.id, args.filter).await;
    let filters = filters.map_err(|e| {
        let exit = if matches!(e, report::ReportError::Filter(_)) { Exit::Missing } else { Exit::Failed };
        Failure::new(e).ending(exit)
    })?;
    let typed = report::Typed {
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        metrics: Some(&metrics),
        by: args.by.as_deref(),
        filters: filters.iter().map(String::as_str).collect(),
        limit: Some(&limit),
        source: args.source.as_deref(),
    };
    let query =
        report::Query::parse(scope, today, &typed).map_err(|e| Failure::new(e).ending(Exit::Usage))?;
    let table = report::run(&report::Reports::new(databases.reader.clone()), &query).await?;
    let columns: Vec<&'static str> =
        table.by.iter().map(|by| by.name()).chain(table.metrics.iter().map(|m| m.name())).collect();
    let mut listing = Listing::new(&columns);
    for row in table.rows {
        let value = table.by.map(|_| row.value.into());
        listing.row(value.into_iter().chain(row.figures.into_iter().map(output::number)).collect());
    }
    listing.print(args.json)?;
    if let Some(sentence) = table.origin.sentence() {
        output::note(&sentence);
    }
    Ok(())
}
