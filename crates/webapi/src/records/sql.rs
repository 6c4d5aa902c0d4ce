//! Reading records by SQL: `GET /set?sql=…`.

use crate::api::{Attempt, Stop};
use crate::fault::Problem;
use bytes::Bytes;
use http::Response;
use model::Table;
use std::sync::Arc;

/// A page of the rows that a statement finds.
#[expect(clippy::unused_async, reason = "the languages are asked alike")]
pub(super) async fn page(
    _attempt: &Attempt<'_>,
    _table: &Arc<Table>,
    _text: &str,
) -> Result<Response<Bytes>, Stop> {
    Err(Problem::uri("query option `sql` is not supported.").into())
}
