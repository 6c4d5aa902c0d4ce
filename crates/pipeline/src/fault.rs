//! Where a store's refusal meets a fault code: the only place in this crate that chooses codes for it.
//!
//! HTTP statuses are `webapi`'s. Texts follow the contract's tables; our own words are hints.

mod steps;

pub(crate) use steps::*;

use crate::privilege::Action;
use crate::rights::Rights;
use crate::write::{Planned, TargetRefused, refused};
use model::{
    Cell, ColumnIndex, ErrorCode, Failure, Fault, KeyIndex, MessageName, Table, Uuid, Value, code,
};
use store::elastic::ElasticReason;
use store::writes::WriteOp;
use store::{Reason, Rejection};

/// Faults list at most this many failing targets; the rest is as bad and would only cost memory.
pub(crate) const FAILURES_MAX: usize = 1_000;

/// The fault of anything that is not about rows.
pub(crate) fn of_engine(error: store::Error) -> Fault {
    match error {
        store::Error::Busy => Fault::new(
            code::SERVER_BUSY,
            "The server is busy and the request was not completed. Try again later.",
        ),
        store::Error::Schema { why } => Fault::new(code::INVALID_ARGUMENT, why),
        // Spelled as the platform does.
        store::Error::Doomed => Fault::new(
            code::NO_ACTIVE_TRANSACTION,
            "There is no active transaction. This error is usually caused by custom plug-ins that \
             ignore errors from service calls and continue processing.",
        ),
        store::Error::TimeOver => {
            Fault::new(code::SQL_TIMEOUT, "The transaction was open for longer than it may be.")
        }
        store::Error::Engine { doing, source } => {
            Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
                .with_log(format!("{doing}: {}", chain(&*source)))
        }
        store::Error::StaleCatalog { bound, actual } => {
            Fault::new(code::SERVER_BUSY, "The definitions are being changed. Try again later.")
                .with_log(format!("bound to definitions {bound}, stored are {actual}"))
        }
        store::Error::Denied { check, rows } => {
            Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
                .with_log(format!("check {check} denied out of place: {rows:?}"))
        }
        store::Error::Rejected { op, rows } => {
            Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
                .with_log(format!("operation {op} rejected out of place: {rows:?}"))
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The fault of a privilege that is missing. Tools look for `is missing prv`.
pub(crate) fn privilege_denied(
    rights: &Rights,
    privileges: usize,
    name: &str,
    id: Uuid,
    table: Option<&Table>,
) -> Fault {
    let mode = match rights.access_mode {
        0 => "0 Read-Write",
        1 => "1 Administrative",
        2 => "2 Read",
        3 => "3 Support User",
        4 => "4 Non-interactive",
        _ => "5 Delegated Admin",
    };
    let Rights { principal, roles, object_id, unit, .. } = rights;
    let about = table.map_or_else(String::new, |table| {
        let label = table.display_name.shown().unwrap_or(&table.schema_name);
        format!(
            " on OTC={} for entity '{}' (LocalizedName='{label}')",
            table.object_type_code, table.logical_name
        )
    });
    Fault::new(
        code::PRIVILEGE_DENIED,
        format!(
            "Principal user (Id={principal}, type=8, roleCount={roles}, privilegeCount={privileges}, accessMode='{mode}', AADObjectId='{object_id}', MetadataCachePrivilegesCount={privileges}, businessUnitId={unit}), is missing {name} privilege (Id={id}){about}. context.Caller={principal}. Consider adding missed privilege to one of the principal (user/team) roles."
        ),
    )
}

/// The fault of a row that is out of reach.
pub(crate) fn access_denied(principal: Uuid, table: &Table, action: Action, id: Uuid) -> Fault {
    Fault::new(
        code::ACCESS_DENIED,
        format!(
            "Principal with id {principal} does not have {}Access right(s) for record with id {id} of entity {}",
            action.name(),
            table.logical_name
        ),
    )
}

/// The same for a row whose id is not known.
pub(crate) fn access_denied_by_key(principal: Uuid, table: &Table, action: Action) -> Fault {
    Fault::new(
        code::ACCESS_DENIED,
        format!(
            "Principal with id {principal} does not have {}Access right(s) for a record of entity {}",
            action.name(),
            table.logical_name
        ),
    )
}

/// The fault of a record that does not exist.
pub(crate) fn no_record(table: &Table, id: Uuid) -> Fault {
    let text = format!("{} With Id = {id} Does Not Exist", table.logical_name);
    Fault::new(code::OBJECT_DOES_NOT_EXIST, text)
}

/// The fault of an owner to be who may not read what it would own.
pub(crate) fn owner_without_read(table: &Table) -> Fault {
    Fault::new(
        code::PRINCIPAL_PRIVILEGE_DENIED,
        format!(
            "The new owner does not have the Read privilege for entity {}.",
            table.logical_name
        ),
    )
    .with_hint("give the user or team a security role that may read it, or choose another owner")
}

/// The fault of a bearer whom no user is known by.
pub(crate) fn not_a_member() -> Fault {
    Fault::new(code::USER_NOT_MEMBER_OF_ORG, "The user is not a member of the organization.")
}

/// The fault of a user who is kept out.
pub(crate) fn user_disabled(id: Uuid) -> Fault {
    Fault::new(code::SYSTEM_USER_DISABLED, format!("The user with id={id} has been disabled."))
}

/// The fault of a user who asks for what is the administrator's.
pub(crate) fn not_an_administrator(id: Uuid) -> Fault {
    let text = format!("Principal user (Id={id}, type=8) is not a system administrator.");
    Fault::new(code::PRIVILEGE_DENIED, text)
}

/// The fault of a store without one of the service's own tables or columns.
pub(crate) fn no_system_table(table: &str) -> Fault {
    Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        .with_log(format!("the store's table `{table}` is missing or not as this version makes it"))
}

/// The fault of a service that was given no store for elastic tables.
pub(crate) fn no_elastic_store() -> Fault {
    Fault::new(code::NOT_SUPPORTED, "This action is not supported.")
        .with_hint("this service has no store for elastic tables")
}

/// The fault of a query over an elastic table that reaches into other tables.
pub(crate) fn no_links() -> Fault {
    Fault::new(code::STORE_ERROR, "Link entities are not supported")
}

/// The fault of a query for groups, distinct rows or lists of an elastic table.
pub(crate) fn no_groups() -> Fault {
    Fault::new(code::STORE_ERROR, "Aggregates and expanded lists are not supported")
        .with_hint("elastic tables answer rows only")
}

/// The fault of a read of one partition of a standard table.
pub(crate) fn no_partitions(table: &Table) -> Fault {
    let text = format!("Table '{}' is not an elastic table.", table.logical_name);
    Fault::new(code::STORE_ERROR, text)
}

/// The fault of a query that elastic tables do not take.
pub(crate) fn no_column_comparison() -> Fault {
    Fault::new(code::STORE_ERROR, "Column comparison is not supported")
        .with_hint("elastic tables compare a column with a value only")
}

/// The fault of failing targets. Only bulk messages carry indexes; a single one names its column.
pub(crate) fn of_failures(message: MessageName, failures: Vec<Failure>) -> Fault {
    if message.is_bulk() {
        return Fault::of_targets(failures);
    }
    let first =
        failures.into_iter().next().expect("a fault of targets has at least one failing target");
    let fault = Fault::new(first.code, first.message);
    match first.column {
        Some(column) => fault.with_hint(format!("see column `{column}`")),
        None => fault,
    }
}

/// Of two faults of one bulk message the one with the lowest failing target, which then lists the
/// targets of both.
pub(crate) fn first_of(one: Fault, other: Fault) -> Fault {
    let lowest = |fault: &Fault| fault.failures.first().map_or(0, |failure| failure.index);
    let (mut first, second) =
        if lowest(&one) <= lowest(&other) { (one, other) } else { (other, one) };
    first.failures.extend(second.failures);
    first.failures.sort_by_key(|failure| failure.index);
    first
}

/// The fault of a version that is sent for a table that compares none.
pub(crate) fn concurrency_not_enabled(table: &Table) -> Fault {
    Fault::new(
        code::OPTIMISTIC_CONCURRENCY_NOT_ENABLED,
        format!(
            "Optimistic concurrency isn't enabled for entity type {}. The IfVersionMatches value of ConcurrencyBehavior can only be used if optimistic concurrency is enabled.",
            table.logical_name
        ),
    )
}

/// Why the store did not write a row, in the platform's words.
pub(crate) fn of_elastic(
    table: &Table,
    reason: ElasticReason,
    id: Option<Uuid>,
    by_key: bool,
) -> TargetRefused {
    let name = &table.logical_name;
    match reason {
        ElasticReason::Exists => {
            refused(code::DUPLICATE_RECORD, "A record with matching key values already exists.")
        }
        ElasticReason::Missing if by_key => refused(
            code::RECORD_NOT_FOUND_BY_ENTITY_KEY,
            &format!("A record with the specified key values does not exist in {name} entity"),
        ),
        ElasticReason::Missing => refused(
            code::OBJECT_DOES_NOT_EXIST,
            &format!("{name} With Id = {} Does Not Exist", id.unwrap_or_default()),
        ),
        ElasticReason::VersionMismatch => refused(
            code::CONCURRENCY_VERSION_MISMATCH,
            "The version of the existing record doesn't match the RowVersion property provided.",
        ),
        ElasticReason::OutOfReach(_) => refused(code::UNEXPECTED, "An unexpected error occurred."),
        ElasticReason::TooLarge => refused(
            code::REQUEST_LENGTH_TOO_LARGE,
            "The record is larger than 2 MB, which is the most that a row of an elastic table holds.",
        ),
    }
}

/// What a refusal's texts need to know of the operation after it went to the store.
pub(crate) struct Shape {
    table: std::sync::Arc<Table>,
    target_of_row: Vec<usize>,
    /// Per row and alternate key: the values sent, for `DuplicateAttributes`. Kept by column.
    keys: Vec<Vec<Cell>>,
}

impl Shape {
    /// Remembers of a planned operation what a refusal would need: no more than its key columns.
    pub(crate) fn of(planned: &Planned) -> Self {
        let (table, rows): (_, Vec<Vec<&Cell>>) = match &planned.op {
            WriteOp::Insert(op) => {
                (&op.table, op.rows.iter().map(|row| row.cells.iter().collect()).collect())
            }
            WriteOp::Update(op) => {
                (&op.table, op.rows.iter().map(|row| row.cells.iter().collect()).collect())
            }
            WriteOp::Upsert(op) => (
                &op.table,
                op.rows
                    .iter()
                    .map(|row| row.cells.iter().chain(&row.insert_cells).collect())
                    .collect(),
            ),
            WriteOp::Delete(op) => (&op.table, op.rows.iter().map(|_| Vec::new()).collect()),
            WriteOp::Fill(op) => (&op.table, op.rows.iter().map(|_| Vec::new()).collect()),
        };
        let in_key = |index: ColumnIndex| table.keys.iter().any(|key| key.columns.contains(&index));
        let keys = if table.keys.is_empty() {
            Vec::new()
        } else {
            rows.into_iter()
                .map(|cells| {
                    cells.into_iter().filter(|cell| in_key(cell.column)).cloned().collect()
                })
                .collect()
        };
        Self { table: table.clone(), target_of_row: planned.target_of_row.clone(), keys }
    }

    /// The target of a row.
    pub(crate) fn target(&self, row: usize) -> usize {
        self.target_of_row.get(row).copied().unwrap_or(row)
    }
}

/// The fault of a write some of whose rows the store refused.
pub(crate) fn of_rejections(message: MessageName, shape: &Shape, rows: Vec<Rejection>) -> Fault {
    let first = rows.first().cloned();
    let joined = missing_text(message, shape, &rows);
    let mut failures: Vec<Failure> =
        rows.into_iter().take(FAILURES_MAX).map(|row| failure(message, shape, row)).collect();
    failures.sort_by_key(|failure| failure.index);
    if let (Some(text), Some(first)) = (joined, failures.first_mut()) {
        first.message = text;
    }
    let mut fault = of_failures(message, failures);
    match first {
        Some(Rejection { index, reason: Reason::DuplicateKey { key }, .. })
            if message != MessageName::Associate =>
        {
            fault.hint = None;
            for (name, value) in duplicate_details(shape, index, key) {
                fault = fault.with_detail(name, value);
            }
        }
        Some(Rejection { reason: Reason::Referenced { relationship }, .. }) => {
            fault.hint =
                Some(format!("rows still point to it through relationship `{relationship}`"));
        }
        Some(Rejection { reason: Reason::VersionMismatch { actual }, .. }) => {
            fault.hint = Some(format!(
                "the record is at version {actual}; read it again and repeat the change"
            ));
        }
        _ => {}
    }
    fault
}

/// `UpdateMultiple` names all missing ids at once (`bulk.md` 3.5).
fn missing_text(message: MessageName, shape: &Shape, rows: &[Rejection]) -> Option<String> {
    if message != MessageName::UpdateMultiple
        || rows.first().map(|row| &row.reason) != Some(&Reason::Missing)
    {
        return None;
    }
    let ids: Vec<String> = rows
        .iter()
        .filter(|row| row.reason == Reason::Missing)
        .filter_map(|row| row.id.map(|id| id.to_string()))
        .take(FAILURES_MAX)
        .collect();
    Some(format!("{} With Ids = {} Do Not Exist", shape.table.logical_name, ids.join(", ")))
}

fn failure(message: MessageName, shape: &Shape, row: Rejection) -> Failure {
    let table = &shape.table;
    let name = &table.logical_name;
    let column_name = |index: ColumnIndex| Some(table.column(index).logical_name.clone());
    let (code, text, column): (ErrorCode, String, Option<Box<str>>) = match &row.reason {
        Reason::LookupMissing { column, table: target, id } => {
            let target = lookup_target_name(table, *column, *target);
            (
                code::OBJECT_DOES_NOT_EXIST,
                format!("{target} With Id = {id} Does Not Exist"),
                column_name(*column),
            )
        }
        Reason::LookupKeyMissing { column, table: target } => {
            let target = lookup_target_name(table, *column, *target);
            let text =
                format!("A record with the specified key values does not exist in {target} entity");
            (code::RECORD_NOT_FOUND_BY_ENTITY_KEY, text, column_name(*column))
        }
        Reason::Missing => {
            let id = row.id.unwrap_or_default();
            let text = if message == MessageName::UpdateMultiple {
                format!("{name} With Ids = {id} Do Not Exist")
            } else {
                format!("{name} With Id = {id} Does Not Exist")
            };
            (code::OBJECT_DOES_NOT_EXIST, text, None)
        }
        Reason::KeyMissing if message == MessageName::Disassociate => {
            let text = "The records are not associated: their link Does Not Exist".to_owned();
            (code::OBJECT_DOES_NOT_EXIST, text, None)
        }
        Reason::DuplicateKey { .. } if message == MessageName::Associate => {
            (code::DUPLICATE_RECORD, "Cannot insert duplicate key.".to_owned(), None)
        }
        Reason::KeyMissing => {
            let text =
                format!("A record with the specified key values does not exist in {name} entity");
            (code::RECORD_NOT_FOUND_BY_ENTITY_KEY, text, None)
        }
        Reason::DuplicateTarget { .. } => {
            let text =
                "Duplicate records with the same key values were found in the 'Targets' parameter.";
            (code::INVALID_ARGUMENT, text.to_owned(), None)
        }
        Reason::Exists | Reason::DuplicateId => {
            let text = "A record with matching key values already exists.";
            (code::DUPLICATE_RECORD, text.to_owned(), column_name(table.primary_key))
        }
        Reason::KeyInBody => (code::UNEXPECTED, "An unexpected error occurred.".to_owned(), None),
        Reason::VersionMismatch { .. } => {
            let text = "The version of the existing record doesn't match the RowVersion property provided.";
            (code::CONCURRENCY_VERSION_MISMATCH, text.to_owned(), None)
        }
        Reason::DuplicateKey { key } => {
            let text = format!(
                "Entity Key {} violated. A record with the same value for {} already exists. A duplicate record cannot be created. Select one or more unique values and try again.",
                key_display(table, *key),
                key_columns_display(table, *key)
            );
            let column = table.key(*key).columns.first().and_then(|index| column_name(*index));
            (code::DUPLICATE_RECORD_ENTITY_KEY, text, column)
        }
        Reason::Loop { column } => {
            let text =
                "Creating this parental association would create a loop in this entity hierarchy.";
            (code::ENTITY_LOOP_BEING_CREATED, text.to_owned(), column_name(*column))
        }
        Reason::Referenced { .. } => {
            let text = "The object you tried to delete is associated with another object and cannot be deleted.";
            (code::CANNOT_DELETE_DUE_TO_ASSOCIATION, text.to_owned(), None)
        }
    };
    let index = shape.target(row.index);
    Failure { index, column, id: row.id, code, message: text }
}

fn lookup_target_name(table: &Table, column: ColumnIndex, target: model::TableId) -> String {
    let model::ColumnKind::Lookup { targets, .. } = &table.column(column).kind else {
        return format!("table {}", target.0);
    };
    match targets.as_slice() {
        [only] => only.table.to_string(),
        several => {
            // The store names the table by number; among several targets the column alone does not tell.
            several.iter().map(|target| &*target.table).collect::<Vec<_>>().join("/")
        }
    }
}

fn key_display(table: &Table, key: KeyIndex) -> String {
    let key = table.key(key);
    key.display_name.shown().unwrap_or(&key.schema_name).to_owned()
}

fn key_columns_display(table: &Table, key: KeyIndex) -> String {
    let names = table.key(key).columns.iter().map(|index| {
        let column = table.column(*index);
        column.display_name.shown().unwrap_or(&column.logical_name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// `ErrorDetails` of a violated key (`bulk.md` 4.5).
fn duplicate_details(shape: &Shape, row: usize, key: KeyIndex) -> Vec<(&'static str, String)> {
    let table = &shape.table;
    let mut xml = String::from("<DuplicateAttributes>");
    for index in &table.key(key).columns {
        let name = &table.column(*index).logical_name;
        let cells = shape.keys.get(row).map_or(&[][..], Vec::as_slice);
        let value = cells.iter().rev().find(|cell| cell.column == *index).map(|cell| &cell.value);
        let text = value.map(value_text).unwrap_or_default();
        xml.push_str(&format!("<{name}>{}</{name}>", escape_xml(&text)));
    }
    xml.push_str("</DuplicateAttributes>");
    vec![
        ("0", key_display(table, key)),
        ("1", key_columns_display(table, key)),
        ("DuplicateAttributes", xml),
    ]
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::DateTime(at) => at.to_string(),
        Value::Date(day) => day.to_string(),
        Value::Guid(id) => id.to_string(),
        Value::Lookup(lookup) => lookup.id.to_string(),
        Value::Choices(numbers) => {
            numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
    }
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
