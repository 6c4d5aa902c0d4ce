//! Tables whose changes are followed, and the rows that were deleted from them.
//!
//! Whoever writes rows of a table takes their versions behind a lock on the table: that of the statement
//! which locks or writes the rows. So a moment of an exclusive lock divides versions: all that were taken
//! before are committed or gone. Reading does not wait for it.
//! Invariant: a row that is deleted from a followed table stands here with the commit that deletes it.

use super::connection::{Session, Step};
use super::decode;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use super::pieces;
use super::transaction::VERSION;
use crate::names;
use model::{Table, TableId, Timestamp, Uuid};
use store::Deleted;

/// How often two nodes that start at the same moment may get in each other's way.
const CREATE_ATTEMPTS_MAX: usize = 10;

const OBJECTS: &str = "\
CREATE TABLE IF NOT EXISTS sheaf_followed (table_id int4 PRIMARY KEY);
CREATE TABLE IF NOT EXISTS sheaf_deleted (
    table_id int4 NOT NULL, version int8 NOT NULL, id uuid NOT NULL, at int8 NOT NULL,
    PRIMARY KEY (table_id, version));";

/// Makes the tables where they are absent, that of pieces included.
pub(super) async fn open(session: &mut Session) -> Result<(), Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let look = |text: &'static str| Step::run(text, Vec::new());
        let looks = vec![
            look("SELECT count(*) FROM sheaf_deleted WHERE table_id = 0"),
            look("SELECT count(*) FROM sheaf_piece WHERE name = ''"),
        ];
        match session.fly("looking for followed tables", looks).await {
            Ok(_) => return Ok(()),
            Err(Error::Names(_)) => {}
            Err(error) => return Err(error),
        }
        let steps = vec![
            Step::command("BEGIN"),
            Step::command(OBJECTS),
            Step::command(pieces::OBJECTS),
            Step::command("COMMIT"),
        ];
        match session.fly("making the tables of deleted rows", steps).await {
            Ok(_) => {}
            Err(error) if attempt >= CREATE_ATTEMPTS_MAX => return Err(error),
            Err(error) => {
                session.roll_back().await;
                tracing::debug!(%error, "another node makes the tables of deleted rows, too");
            }
        }
    }
}

/// Follows a table; answers the highest version that is committed or gone.
pub(super) async fn follow(session: &mut Session, bound: i64, table: &Table) -> Result<i64, Error> {
    const DOING: &str = "following a table";
    let name = names::table(table.id);
    let number = table.id.0;
    let version = names::column(table.column(table.version_column()).id);
    let steps = vec![
        Step::command("BEGIN"),
        Step::command(format!("LOCK TABLE {name} IN EXCLUSIVE MODE")),
        Step::run(VERSION, Vec::new()),
        Step::run(
            "INSERT INTO sheaf_followed (table_id) VALUES ($1::int4) ON CONFLICT DO NOTHING",
            vec![Bound::int4(i32::try_from(number).map_err(|error| engine(DOING, error))?)],
        ),
        Step::command(format!("CREATE INDEX IF NOT EXISTS v{number} ON {name} ({version})")),
        Step::run(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM sheaf_version",
            Vec::new(),
        ),
        Step::command("COMMIT"),
    ];
    let answers = session.fly(DOING, steps).await?;
    let number_at = |place: usize| {
        let row = answers.get(place).and_then(|rows| rows.first());
        let row = row.ok_or_else(|| engine(DOING, Fault::Answer("a number is missing")))?;
        decode::int8(row, 0).map_err(|fault| engine(DOING, fault))
    };
    if number_at(2)? != bound {
        return Err(Error::Moved);
    }
    number_at(5)
}

/// The step that remembers deleted rows, if their table is followed.
pub(super) fn remember<'a>(
    table: TableId,
    now: Timestamp,
    ids: impl ExactSizeIterator<Item = &'a Uuid>,
) -> Result<Step, Error> {
    let number = i32::try_from(table.0).map_err(|error| engine("deleting rows", error))?;
    Ok(Step::run(
        "INSERT INTO sheaf_deleted (table_id, version, id, at) \
         SELECT $1::int4, nextval('sheaf_version'), u.id, $3::int8 FROM unnest($2::uuid[]) AS u(id) \
         WHERE EXISTS (SELECT 1 FROM sheaf_followed WHERE table_id = $1::int4)",
        vec![Bound::int4(number), Bound::ids(ids), Bound::int8(now.0)],
    ))
}

/// The rows that were deleted above a version and are not there again.
pub(super) async fn deleted(
    session: &mut Session,
    bound: i64,
    (table, after, rows_max): (&Table, i64, u32),
) -> Result<Vec<Deleted>, Error> {
    const DOING: &str = "reading deleted rows";
    let number = i32::try_from(table.id.0).map_err(|error| engine(DOING, error))?;
    let text = format!(
        "SELECT d.id, d.version FROM sheaf_deleted AS d WHERE d.table_id = $1::int4 \
         AND d.version > $2::int8 AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = d.id) \
         ORDER BY d.version LIMIT $3::int8",
        names::table(table.id),
        names::column(table.column(table.primary_key).id)
    );
    let params = vec![Bound::int4(number), Bound::int8(after), Bound::int8(i64::from(rows_max))];
    let steps = vec![
        Step::command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        Step::run(VERSION, Vec::new()),
        Step::run(text, params),
        Step::command("COMMIT"),
    ];
    let answers = session.fly(DOING, steps).await?;
    let unreadable = |fault: Fault| engine(DOING, fault);
    let version = answers.get(1).and_then(|rows| rows.first()).map(|row| decode::int8(row, 0));
    if version.transpose().map_err(unreadable)? != Some(bound) {
        return Err(Error::Moved);
    }
    let rows = answers.get(2).into_iter().flatten().map(|row| {
        let id = decode::id(row, 0).map_err(unreadable)?;
        let version = decode::int8(row, 1).map_err(unreadable)?;
        Ok(Deleted { id, version })
    });
    rows.collect()
}

/// Forgets what was deleted before a time.
pub(super) async fn forget(session: &mut Session, before: Timestamp) -> Result<(), Error> {
    let text = "DELETE FROM sheaf_deleted WHERE at < $1::int8";
    let step = Step::run(text, vec![Bound::int8(before.0)]);
    session.fly("forgetting deleted rows", vec![step]).await.map(drop)
}
