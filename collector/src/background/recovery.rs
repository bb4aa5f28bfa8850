//! Restores the last half hour at start: visits, page views and hit numbers, from ClickHouse and the spools.
//! A restart (or a kill) therefore ends no visit and counts no browser retry twice.
//!
//! **Promises.** Whatever cannot be read is logged and skipped; it never fails the start.
//!
//! **Proof**: `tests/suite/durability.rs`.

use std::time::Duration;

use clickhouse::Row;
use compact_str::CompactString;
use serde::Deserialize;
use sotto_schema::{
    event::{COLUMNS, Event, Kind},
    id::{SessionId, SiteId, ViewId, VisitorKey},
    rowbinary::Millis,
};

use crate::{
    spool::{KEYS_MIN, Key, Reader, Spool},
    state::State,
    visitor::{page_view_cache, sessions},
};

#[derive(Row, Deserialize)]
struct LiveSession {
    site: SiteId,
    visitor: VisitorKey,
    session: SessionId,
    last: i64,
}

#[derive(Row, Deserialize)]
struct LiveView {
    site: SiteId,
    view: ViewId,
    hostname: CompactString,
    path: CompactString,
}

#[derive(Row, Deserialize)]
struct LiveKey {
    site: SiteId,
    view: ViewId,
    seq: u32,
}

/// Restores whatever is still useful. `readers` are those of the state's spools, in order.
pub async fn recover(state: &State, readers: &[Reader]) {
    let now_ms = state.clock.now_ms();
    let since_ms = now_ms - sessions::TIMEOUT_MS;
    recover_sessions(state, since_ms).await;
    recover_views(state, since_ms).await;
    recover_keys(state, since_ms).await;
    for (spool, reader) in state.spools.all().zip(readers) {
        recover_spooled(state, spool, reader, now_ms);
    }
}

async fn recover_sessions(state: &State, since_ms: i64) {
    let query = state.databases.reader.query(include_str!("recovery/live_sessions.sql"));
    match query.param("since", since_ms).fetch_all::<LiveSession>().await {
        Ok(live) => live.iter().for_each(|s| state.sessions.note(s.site, s.visitor, s.session, s.last)),
        Err(error) => {
            tracing::warn!(%error, "visits of the last half hour cannot be read; some visits will be split")
        }
    }
}

async fn recover_views(state: &State, since_ms: i64) {
    let query = state.databases.reader.query(include_str!("recovery/live_views.sql"));
    let query = query.param("since", since_ms).param("most", page_view_cache::VIEWS_MAX);
    match query.fetch_all::<LiveView>().await {
        Ok(live) => live.iter().for_each(|v| state.views.remember(v.site, v.view, &v.hostname, &v.path)),
        Err(error) => {
            tracing::warn!(%error, "page views of the last half hour cannot be read; some have no page");
        }
    }
}

/// Keys of hits that browsers may retry: a visitor's hits are stored with their numbers, anonymous hits are
/// not.
async fn recover_keys(state: &State, since_ms: i64) {
    let query = state.databases.reader.query(include_str!("recovery/live_keys.sql"));
    match query.param("since", since_ms).param("most", KEYS_MIN).fetch_all::<LiveKey>().await {
        Ok(keys) => {
            state
                .spools
                .remember(keys.iter().map(|k| Key { site: k.site, view: k.view, seq: k.seq }).collect());
        }
        Err(error) => {
            tracing::warn!(%error, "hits of the last half hour cannot be read; some may be counted twice");
        }
    }
}

fn recover_spooled(state: &State, spool: &Spool, reader: &Reader, now_ms: i64) {
    let since = Millis(now_ms - sessions::TIMEOUT_MS);
    let (mut keys, mut first_ms) = (Vec::new(), None);
    let spooled = reader.for_each_waiting(|mut record| {
        let Some(event) = Event::decode(&mut record) else { return };
        if event.view.is_some() {
            keys.push(Key { site: event.site, view: event.view, seq: event.seq });
            first_ms.get_or_insert(event.time.0);
        }
        if event.session.is_some() && event.time > since {
            state.sessions.note(event.site, event.visitor, event.session, event.time.0);
            if event.kind == Kind::Pageview {
                state.views.remember(event.site, event.view, &event.hostname, &event.path);
            }
        }
    });
    if let Err(error) = spooled {
        tracing::warn!(%error, "visits in the spool cannot be read; some visits will be split");
    }
    let aside = reader.for_each_set_aside(|batch| {
        let mut rows = batch.rows.as_ref();
        while let Some(event) = Event::decode(&mut rows).filter(|_| batch.columns == COLUMNS) {
            if event.view.is_some() {
                keys.push(Key { site: event.site, view: event.view, seq: event.seq });
            }
        }
    });
    if let Err(error) = aside {
        tracing::warn!(%error, "set-aside batches cannot be read; a hit in them may be counted twice");
    }
    spool.remember(keys);
    if let Some(waits_ms) = first_ms.and_then(|first| u64::try_from(now_ms - first).ok()) {
        spool.waits_since(Duration::from_millis(waits_ms));
    }
}
