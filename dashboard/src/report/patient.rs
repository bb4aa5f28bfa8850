//! Queries of reports, which wait for memory ([`sotto_store::patience`]).

use clickhouse::{RowOwned, RowRead, error::Error, query::Query};
use sotto_store::patience::{PAUSES, asked};

/// Queries of reports; `tests/suite/house.rs` looks that they are asked like this.
pub(super) trait Patient {
    /// All rows that a query answers with.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked, or has no memory for it for [`PAUSES`].
    fn rows<T: RowOwned + RowRead + Send>(self) -> impl Future<Output = Result<Vec<T>, Error>> + Send;

    /// The row that a query answers with.
    ///
    /// # Errors
    /// As those of [`Patient::rows`], or when there is no row.
    fn row<T: RowOwned + RowRead + Send>(self) -> impl Future<Output = Result<T, Error>> + Send;
}

impl Patient for Query {
    fn rows<T: RowOwned + RowRead + Send>(self) -> impl Future<Output = Result<Vec<T>, Error>> + Send {
        asked(PAUSES, move || self.clone().fetch_all())
    }

    fn row<T: RowOwned + RowRead + Send>(self) -> impl Future<Output = Result<T, Error>> + Send {
        asked(PAUSES, move || self.clone().fetch_one())
    }
}
