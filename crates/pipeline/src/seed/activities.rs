//! Activities, who takes part in them, and notes.
//!
//! Source: the seed tables of `metadata.md`, `webapi.md` 12.6. Columns are the useful minimum. There is no
//! table over all activities (`activitypointer`). Custom tables come later (`define::regarding`).
//! Invariant: what an activity or a note is about takes it along when it is deleted.

use super::tables::Builder;
use crate::define::columns::{boolean, choice, date_time, integer, memo, read_only, state};
use crate::define::columns::{status, text};
use crate::define::system;
use model::{Column, ColumnKind, DeleteAction, OneToMany, Ownership, TableDefinition};

/// Base64 text of the largest note: its units are bytes of base64.
const DOCUMENT_UNITS_MAX: u32 = 1_073_741_823;

/// Tables that activities and notes may be about: logical name, and its form in relationship names.
pub(super) const REGARDED: [(&str, &str); 3] =
    [("account", "Account"), ("contact", "Contact"), ("lead", "Lead")];

/// The kinds of activity: logical name, plural in relationship names.
const ACTIVITIES: [(&str, &str); 4] = [
    ("task", "Tasks"),
    ("email", "Emails"),
    ("phonecall", "Phonecalls"),
    ("appointment", "Appointments"),
];

/// The same with the plurals in the names of relationships of custom tables.
pub(crate) const KINDS: [(&str, &str); 4] = [
    ("task", "Tasks"),
    ("email", "Emails"),
    ("phonecall", "PhoneCalls"),
    ("appointment", "Appointments"),
];

/// Who may take part.
const PARTIES: [&str; 4] = ["account", "contact", "lead", "systemuser"];

/// The tables, in the order of their numbers.
pub(super) fn tables() -> Vec<TableDefinition> {
    vec![task(), email(), phone_call(), appointment(), activity_party(), annotation()]
}

/// Their relationships, but for those of the system columns.
pub(super) fn relationships() -> Vec<OneToMany> {
    let mut all = Vec::new();
    for (table, schema) in REGARDED {
        for (activity, plural) in ACTIVITIES {
            let name = format!("{schema}_{plural}");
            let navigation = format!("regardingobjectid_{table}_{activity}");
            all.push(owned(name, table, activity, "regardingobjectid", &navigation));
        }
        let navigation = format!("objectid_{table}");
        all.push(owned(
            format!("{schema}_Annotation"),
            table,
            "annotation",
            "objectid",
            &navigation,
        ));
    }
    for (activity, _) in ACTIVITIES {
        let name = format!("{activity}_activity_parties");
        let navigation = format!("activityid_{activity}");
        all.push(owned(name, activity, "activityparty", "activityid", &navigation));
        let navigation = format!("objectid_{activity}");
        let name = format!("{activity}_Annotation");
        all.push(owned(name, activity, "annotation", "objectid", &navigation));
    }
    for party in PARTIES {
        let delete = match party {
            "systemuser" => DeleteAction::NoCascade,
            _ => DeleteAction::RemoveLink,
        };
        all.push(system::one_to_many(
            format!("{party}_activity_parties"),
            party,
            "activityparty",
            "partyid",
            &format!("partyid_{party}"),
            delete,
        ));
    }
    all
}

/// A relationship whose referencing rows go with the referenced one.
fn owned(
    name: String,
    referenced: &str,
    referencing: &str,
    lookup: &str,
    navigation: &str,
) -> OneToMany {
    let delete = DeleteAction::Cascade;
    let one = system::one_to_many(name, referenced, referencing, lookup, navigation, delete);
    match ACTIVITIES.iter().any(|(activity, _)| *activity == referenced) {
        true => OneToMany { referenced_column: "activityid".into(), ..one },
        false => one,
    }
}

/// An activity with the columns that all have.
fn activity(schema: &str, set: &str, code: i32, display: &str, states: [ColumnKind; 2]) -> Builder {
    let name = schema.to_lowercase();
    let navigations: Vec<String> =
        REGARDED.iter().map(|(table, _)| format!("regardingobjectid_{table}_{name}")).collect();
    let regarding: Vec<(&str, &str)> = REGARDED
        .iter()
        .zip(&navigations)
        .map(|((table, _), navigation)| (*table, navigation.as_str()))
        .collect();
    let [state, status] = states;
    let mut builder = Builder::new(schema, set, code, Ownership::User, display)
        .keyed("ActivityId")
        .name("Subject", "Subject", 200)
        .with_read_only("ActivityTypeCode", "Activity Type", ColumnKind::TableName)
        .with_lookup("RegardingObjectId", "Regarding", &regarding)
        .with("Description", "Description", memo(1_048_576))
        .with("ScheduledStart", "Start Date", date_time())
        .with("ScheduledEnd", "Due Date", date_time())
        .with("ActualStart", "Actual Start", date_time())
        .with("ActualEnd", "Actual End", date_time())
        .with("PriorityCode", "Priority", priority())
        .with("IsWorkflowCreated", "Is Workflow Created", boolean(false))
        .with("IsBilled", "Is Billed", boolean(false))
        .with("ActualDurationMinutes", "Duration", integer())
        .with("statecode", "Activity Status", state)
        .with("statuscode", "Status Reason", status);
    builder.table.is_activity = true;
    builder.table.has_notes = true;
    builder
}

fn priority() -> ColumnKind {
    let mut kind = choice(&[(0, "Low"), (1, "Normal"), (2, "High")]);
    if let ColumnKind::Choice { default, .. } = &mut kind {
        *default = Some(1);
    }
    kind
}

fn task() -> TableDefinition {
    let states = [
        state(&[(0, "Open", 2), (1, "Completed", 5), (2, "Canceled", 6)]),
        status(&[
            (2, "Not Started", 0),
            (3, "In Progress", 0),
            (4, "Waiting on someone else", 0),
            (7, "Deferred", 0),
            (5, "Completed", 1),
            (6, "Canceled", 2),
        ]),
    ];
    activity("Task", "tasks", 4212, "Task", states)
        .with("PercentComplete", "Percent Complete", ColumnKind::Integer { min: 0, max: 100 })
        .with("Category", "Category", text(250))
        .with("Subcategory", "Sub-Category", text(250))
        .done()
}

fn email() -> TableDefinition {
    let states = [
        state(&[(0, "Open", 1), (1, "Completed", 2), (2, "Canceled", 5)]),
        status(&[
            (1, "Draft", 0),
            (8, "Failed", 0),
            (2, "Completed", 1),
            (3, "Sent", 1),
            (4, "Received", 1),
            (6, "Pending Send", 1),
            (7, "Sending", 1),
            (5, "Canceled", 2),
        ]),
    ];
    activity("Email", "emails", 4202, "Email", states)
        .with("DirectionCode", "Direction", boolean(true))
        .with("MessageId", "Message ID", text(320))
        .done()
}

fn phone_call() -> TableDefinition {
    let states = [
        state(&[(0, "Open", 1), (1, "Completed", 2), (2, "Canceled", 3)]),
        status(&[(1, "Open", 0), (2, "Made", 1), (4, "Received", 1), (3, "Canceled", 2)]),
    ];
    activity("PhoneCall", "phonecalls", 4210, "Phone Call", states)
        .with("DirectionCode", "Direction", boolean(true))
        .with("PhoneNumber", "Phone Number", text(200))
        .with("LeftVoiceMail", "Left Voice Mail", boolean(false))
        .done()
}

fn appointment() -> TableDefinition {
    let states = [
        state(&[(0, "Open", 1), (1, "Completed", 3), (2, "Canceled", 4), (3, "Scheduled", 5)]),
        status(&[
            (1, "Free", 0),
            (2, "Tentative", 0),
            (3, "Completed", 1),
            (4, "Canceled", 2),
            (5, "Busy", 3),
            (6, "Out of Office", 3),
        ]),
    ];
    activity("Appointment", "appointments", 4201, "Appointment", states)
        .with("Location", "Location", text(200))
        .with("IsAllDayEvent", "All Day Event", boolean(false))
        .done()
}

fn activity_party() -> TableDefinition {
    let roles = [
        (1, "Sender"),
        (2, "To Recipient"),
        (3, "CC Recipient"),
        (4, "BCC Recipient"),
        (5, "Required attendee"),
        (6, "Optional attendee"),
        (7, "Organizer"),
        (8, "Regarding"),
        (9, "Owner"),
        (11, "Customer"),
    ];
    let to = |names: &[&'static str], lookup: &str| -> Vec<(&'static str, String)> {
        names.iter().map(|name| (*name, format!("{lookup}_{name}"))).collect()
    };
    let activities = to(&ACTIVITIES.map(|(name, _)| name), "activityid");
    let parties = to(&PARTIES, "partyid");
    Builder::new("ActivityParty", "activityparties", 135, Ownership::None, "Activity Party")
        .with_lookup("ActivityId", "Activity", &borrowed(&activities))
        .with_lookup("PartyId", "Party", &borrowed(&parties))
        .with("ParticipationTypeMask", "Participation Type", choice(&roles))
        .with("AddressUsed", "Address", text(320))
        .done()
}

fn annotation() -> TableDefinition {
    let regarded = REGARDED.map(|(name, _)| name);
    let objects: Vec<(&str, String)> = regarded
        .into_iter()
        .chain(ACTIVITIES.map(|(name, _)| name))
        .map(|name| (name, format!("objectid_{name}")))
        .collect();
    let mut builder = Builder::new("Annotation", "annotations", 5, Ownership::User, "Note")
        .name("Subject", "Title", 500)
        .with_lookup("ObjectId", "Regarding", &borrowed(&objects))
        .with("NoteText", "Description", memo(100_000))
        .with("IsDocument", "Is Document", boolean(false))
        .with("FileName", "File Name", text(255))
        .with("MimeType", "Mime Type", text(256))
        .with("DocumentBody", "Document", memo(DOCUMENT_UNITS_MAX));
    builder.add(file_size());
    builder.done()
}

/// Set by the service with the document.
fn file_size() -> Column {
    read_only("FileSize", "File Size (Bytes)", integer())
}

fn borrowed<'a>(targets: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    targets.iter().map(|(table, navigation)| (*table, navigation.as_str())).collect()
}
