//! Reads that follow changes: `Prefer: odata.track-changes`, `$deltatoken`, `@odata.deltaLink`.
//!
//! A chain of pages begins with a version that divides changes (`store::StandardStore::follow`); its last
//! page hands it out as the next token, so that what is written while pages are read comes again and is
//! never lost. Behind the rows that changed come those that were deleted. All that a page needs to know of
//! its chain stands in one option.
//! Source: webapi.md 16, clients.md 6.9. Not here: remembering deleted rows (`store`).

use super::{children, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{Table, Timestamp, Uuid, Value};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pipeline::{Deleted, DeletedRows, Message, REMEMBERED_SECONDS, Reply};
use query::odata::{self, Parsed, limits};
use query::{ColumnRef, Compare, Filter, Page};
use std::sync::Arc;
use wire::record::{Changes, PageFrame};

/// How a `$skiptoken` of such a chain begins.
const CHAIN: &str = "changes!";

/// Options that do not go with following changes.
const REFUSED: [&str; 8] =
    ["$filter", "$orderby", "$expand", "$top", "$count", "$apply", "$skip", "$search"];

/// A chain of pages.
pub(super) struct Chain {
    /// Only changes above this version; none for all rows.
    since: Option<i64>,
    /// The version that the next token will hold; none on the first page.
    up_to: Option<i64>,
    place: Place,
}

/// Where a page of a chain begins.
enum Place {
    /// At a row, by the token of ordinary pages; none for the first.
    Row(Option<String>),
    /// At the first row that was deleted above this version.
    Deleted(i64),
}

/// The chain that a request begins or goes on with; none if it is an ordinary read.
pub(super) fn asked_for(attempt: &Attempt<'_>) -> Result<Option<Chain>, Problem> {
    let (request, options) = (attempt.request, &attempt.request.options);
    if let Some(rest) = options.get("$skiptoken").and_then(|token| token.strip_prefix(CHAIN)) {
        return Chain::read(rest).ok_or_else(Problem::paging_cookie).map(Some);
    }
    let token = options.get("$deltatoken");
    if token.is_none() && !request.prefer.track_changes {
        return Ok(None);
    }
    let since = token.map_or(Ok(None), |token| read_token(token, request.now))?;
    Ok(Some(Chain { since, up_to: None, place: Place::Row(None) }))
}

/// A page of a chain.
pub(super) async fn page(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    chain: Chain,
) -> Result<Response<Bytes>, Stop> {
    refuse_options(attempt)?;
    let up_to = match chain.up_to {
        Some(version) => version,
        None => follow(attempt, table).await?,
    };
    let parsed = parse(attempt, table, &chain)?;
    let (rows, mut next) = match &chain.place {
        Place::Deleted(_) => (Page::default(), None),
        Place::Row(_) => {
            let page = read::many(attempt, parsed.query.clone()).await?;
            let next = parsed.next_token(&page).map(|token| ("r".to_owned(), token));
            (page, next)
        }
    };
    let mut gone: Vec<Deleted> = Vec::new();
    if let (Some(since), None) = (chain.since, &next) {
        let after = match chain.place {
            Place::Deleted(after) => after,
            Place::Row(_) => since,
        };
        let size = usize::try_from(parsed.query.paging.size).unwrap_or(usize::MAX);
        let room = size.saturating_sub(rows.rows);
        let more;
        (gone, more) = deleted_page(attempt, table, after, room).await?;
        next = more.map(|after| (format!("d{after}"), String::new()));
    }
    let request = attempt.request;
    let next_link = next
        .map(|(place, inner)| {
            let since = chain.since.map_or("-".to_owned(), |since| since.to_string());
            let own = format!("{CHAIN}{up_to}!{since}!{place}!");
            let token = format!("{}{inner}", utf8_percent_encode(&own, NON_ALPHANUMERIC));
            read::link_with(attempt, &table.entity_set_name, "$skiptoken", &token)
        })
        .transpose()?;
    let delta_link = match next_link {
        Some(_) => None,
        None => {
            let token = write_token(up_to, request.now);
            Some(read::link_with(attempt, &table.entity_set_name, "$deltatoken", &token)?)
        }
    };
    let mut context = read::context(attempt, &parsed);
    if chain.since.is_some() {
        context.push_str("/$delta");
    }
    let deleted_context =
        format!("{}$metadata#{}/$deletedEntity", request.root, table.entity_set_name);
    let gone: Vec<Uuid> = gone.iter().map(|deleted| deleted.id).collect();
    let frame = PageFrame {
        context: &context,
        next_link: next_link.as_deref(),
        metadata_version: Some(attempt.context.catalog.version()),
        changes: Changes {
            delta_link: delta_link.as_deref(),
            deleted_context: &deleted_context,
            deleted: &gone,
        },
        ..PageFrame::default()
    };
    let names = read::names_of(attempt, &parsed, &rows, &[]).await?;
    let mut body = Vec::new();
    let writer = children::writer(attempt, &parsed, &rows, &names, &[]);
    let shown = rows.rows(parsed.query.columns.len());
    wire::record::write_page(&mut body, &writer, &frame, shown);
    let mut response = response::json(StatusCode::OK, body);
    let mut applied = read::applied_annotations(attempt);
    if request.prefer.track_changes {
        applied.push("odata.track-changes".to_owned());
    }
    if request.prefer.max_page_size.is_some() {
        applied.push(format!("odata.maxpagesize={}", parsed.query.paging.size));
    }
    response::put_applied(&mut response, &applied);
    Ok(response)
}

/// `GET /set/$count?$deltatoken=…`: how many rows have changed, deleted ones included.
pub(super) async fn count(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    token: &str,
) -> Result<Response<Bytes>, Stop> {
    refuse_options(attempt)?;
    let since = read_token(token, attempt.request.now)?;
    // Whoever counts the changes of a table wants it to be followed.
    follow(attempt, table).await?;
    let options = attempt.request.options.clone().with("$deltatoken", None);
    let mut parsed = odata::parse_count(&attempt.context.catalog, table, &options, None)
        .map_err(fault::of_query)?;
    parsed.query.filter = since.map(|since| above(table, since));
    let rows = read::many(attempt, parsed.query).await?.count.unwrap_or_default();
    let max = limits::COUNT_MAX;
    let gone = match since {
        Some(since) => deleted(attempt, table, since, max as usize).await?.len() as u64,
        None => 0,
    };
    Ok(response::text((rows + gone).min(u64::from(max)).to_string()))
}

fn refuse_options(attempt: &Attempt<'_>) -> Result<(), Problem> {
    let options = &attempt.request.options;
    let refused = REFUSED.iter().copied().find(|name| options.get(name).is_some());
    let refused = refused.or_else(|| options.fetch_xml().map(|_| "fetchXml"));
    match refused {
        Some(name) => Err(Problem::uri(format!(
            "The \"{name}\" query parameter isn't supported when Change Tracking is enabled."
        ))),
        None => Ok(()),
    }
}

fn parse(attempt: &Attempt<'_>, table: &Arc<Table>, chain: &Chain) -> Result<Parsed, Problem> {
    let inner = match &chain.place {
        Place::Row(inner) => inner.as_deref(),
        Place::Deleted(_) => None,
    };
    let options = attempt.request.options.clone();
    let options = options.with("$skiptoken", inner).with("$deltatoken", None);
    let mut parsed =
        odata::parse(&attempt.context.catalog, table, &options).map_err(fault::of_query)?;
    parsed.query.filter = chain.since.map(|since| above(table, since));
    Ok(parsed)
}

/// The rows with a version above this one.
fn above(table: &Table, version: i64) -> Filter {
    let column = ColumnRef::root(table.version_column());
    Filter::Compare { column, compare: Compare::Greater, value: Value::BigInt(version) }
}

async fn follow(attempt: &Attempt<'_>, table: &Arc<Table>) -> Result<i64, Stop> {
    match attempt.run(Message::Follow(Arc::clone(table))).await? {
        Reply::Followed(version) => Ok(version),
        _ => Err(unexpected()),
    }
}

async fn deleted(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    after: i64,
    rows_max: usize,
) -> Result<Vec<Deleted>, Stop> {
    let rows_max = u32::try_from(rows_max).unwrap_or(u32::MAX);
    let rows = DeletedRows { table: Arc::clone(table), after, rows_max };
    match attempt.run(Message::Deleted(rows)).await? {
        Reply::Deleted(rows) => Ok(rows),
        _ => Err(unexpected()),
    }
}

/// Deleted rows that fit, and the version behind which more of them follow.
async fn deleted_page(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    after: i64,
    room: usize,
) -> Result<(Vec<Deleted>, Option<i64>), Stop> {
    let mut rows = deleted(attempt, table, after, room.saturating_add(1)).await?;
    if rows.len() <= room {
        return Ok((rows, None));
    }
    rows.truncate(room);
    let last = rows.last().map_or(after, |last| last.version);
    Ok((rows, Some(last)))
}

fn unexpected() -> Stop {
    tracing::error!("a message about changes was answered with something else");
    Problem::unexpected().into()
}

impl Chain {
    /// Reads a token behind its beginning: `<up to>!<since>!<place>!<inner token>`.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '!');
        let up_to = parts.next()?.parse().ok()?;
        let since = match parts.next()? {
            "-" => None,
            since => Some(since.parse().ok()?),
        };
        let (place, inner) = (parts.next()?, parts.next()?);
        let place = match place.strip_prefix('d') {
            Some(after) if since.is_some() && inner.is_empty() => {
                Place::Deleted(after.parse().ok()?)
            }
            None if place == "r" => Place::Row(Some(inner.to_owned())),
            _ => return None,
        };
        Some(Self { since, up_to: Some(up_to), place })
    }
}

/// A token for a URL: `919042!08/22/2017 08:10:44`, percent-encoded.
fn write_token(version: i64, now: Timestamp) -> String {
    let text = now.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let mut day = day.splitn(3, '-');
    let mut part = || day.next().unwrap_or_default();
    let (year, month, day) = (part(), part(), part());
    let token = format!("{version}!{month}/{day}/{year} {}", time.trim_end_matches('Z'));
    utf8_percent_encode(&token, NON_ALPHANUMERIC).to_string()
}

/// The version of a token; none for one that asks for everything: empty, or the `None` of a caller that
/// kept none.
fn read_token(token: &str, now: Timestamp) -> Result<Option<i64>, Problem> {
    if token.is_empty() || token == "None" {
        return Ok(None);
    }
    let bad =
        || Problem::uri(format!("Invalid value '{token}' for $deltatoken query option found."));
    let (version, at) = token.split_once('!').ok_or_else(bad)?;
    let version: i64 = version.parse().map_err(|_| bad())?;
    let (day, time) = at.split_once(' ').ok_or_else(bad)?;
    let parts: Vec<&str> = day.split('/').collect();
    let [month, day, year] = parts.as_slice() else { return Err(bad()) };
    let at = Timestamp::parse(&format!("{year}-{month}-{day}T{time}Z")).ok_or_else(bad)?;
    if now.0 - at.0 > REMEMBERED_SECONDS {
        return Err(Problem::argument(
            "The $deltatoken is older than seven days. Read all rows again.",
        ));
    }
    Ok(Some(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_503_389_444);

    fn check(token: &str, want: Result<Option<i64>, u16>) {
        let read = read_token(token, NOW).map_err(|problem| problem.status.as_u16());
        assert_eq!(read, want, "{token}");
    }

    #[test]
    fn tokens_are_written_as_documented_and_read_back() {
        let token = write_token(919_042, NOW);
        assert_eq!(token, "919042%2108%2F22%2F2017%2008%3A10%3A44");
        check("919042!08/22/2017 08:10:44", Ok(Some(919_042)));
        check("", Ok(None));
        check("None", Ok(None));
        check("7!08/16/2017 00:00:00", Ok(Some(7)));
        check("7!08/15/2017 08:10:43", Err(400));
        for bad in ["7", "7!", "x!08/22/2017 08:10:44", "7!22/08/2017 08:10:44", "7!08/22/2017"] {
            check(bad, Err(400));
        }
    }

    #[test]
    fn a_place_in_a_chain_is_read_or_refused() {
        let read = |text: &str| Chain::read(text).is_some();
        assert!(read("9!-!r!<cookie a=\"!\" />"));
        assert!(read("9!4!d7!"));
        for bad in ["", "9", "9!-!d7!", "9!4!d7!x", "x!4!r!", "9!4!q!", "9!4!d!"] {
            assert!(!read(bad), "{bad}");
        }
    }
}
