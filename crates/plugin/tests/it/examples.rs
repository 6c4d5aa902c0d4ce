//! The examples do what they say, as single and as bulk step alike.

use crate::guests;
use crate::house::{Fake, call, catalog, contact, host, id, record, step};
use model::{Catalog, MessageName, Value};
use pipeline::step::{
    CellChange, ParameterValue, Record, ServiceRequest, StepAnswer, StepFault, StepRunner,
};
use plugin::Settings;
use std::sync::Arc;

async fn run(
    catalog: &Arc<Catalog>,
    name: &str,
    message: MessageName,
    targets: Vec<Record>,
) -> (Result<StepAnswer, StepFault>, Vec<Box<str>>, Arc<Fake>) {
    let component = guests::contacts();
    let step = step(&component, &format!("examples.contacts.{name}"), "");
    let service = Fake::new(&component);
    let call = call(catalog, &step, message, "contact", targets);
    let ran = host(Settings::default()).run(call, service.clone()).await;
    (ran.answer, ran.trace, service)
}

#[tokio::test]
async fn the_ids_of_all_contacts_are_collected_in_order() {
    let catalog = catalog().await;
    let mut targets = vec![contact(&catalog, "A"), contact(&catalog, "B")];
    for (number, target) in targets.iter_mut().enumerate() {
        target.id = Some(id(0x50 + number as u128));
    }
    let (answer, trace, _) =
        run(&catalog, "collect_ids", MessageName::CreateMultiple, targets.clone()).await;
    let change = &answer.unwrap().shared[0];
    assert_eq!(&*change.name, "contactids");
    assert_eq!(change.value, Some(ParameterValue::Ids(vec![id(0x50), id(0x51)])));
    assert_eq!(trace.len(), 3);
    assert_eq!(&*trace[2], id(0x51).to_string());
    // The same logic on a single message sees one.
    targets.truncate(1);
    let (answer, ..) = run(&catalog, "collect_ids", MessageName::Create, targets).await;
    assert_eq!(answer.unwrap().shared[0].value, Some(ParameterValue::Ids(vec![id(0x50)])));
}

#[tokio::test]
async fn names_are_normalised_and_only_what_differs_comes_back() {
    let catalog = catalog().await;
    let table = catalog.table("contact").unwrap();
    let targets = vec![
        record(
            table,
            &[("firstname", Value::text("  ada  maria ")), ("lastname", Value::text("LOVELACE"))],
        ),
        record(table, &[("lastname", Value::text("McDonald"))]),
        record(table, &[("lastname", Value::Null)]),
    ];
    let change = |target, column: &str, text: &str| CellChange {
        target,
        column: table.index_of(column).unwrap(),
        value: Some(Value::text(text)),
    };
    let want = [change(0, "firstname", "Ada Maria"), change(0, "lastname", "Lovelace")];
    let (answer, ..) =
        run(&catalog, "normalize_names", MessageName::UpdateMultiple, targets.clone()).await;
    assert_eq!(answer.unwrap().targets, want);
    let first = vec![targets[0].clone()];
    let (answer, ..) = run(&catalog, "normalize_names", MessageName::Update, first).await;
    assert_eq!(answer.unwrap().targets, want);
}

#[tokio::test]
async fn one_contact_without_a_last_name_refuses_the_message_and_is_named() {
    let catalog = catalog().await;
    let mut targets: Vec<Record> = (0..1_000).map(|_| contact(&catalog, "Doe")).collect();
    targets[731].cells = pipeline::step::Cells::default();
    targets[731].id = Some(id(0x731));
    let (answer, trace, _) =
        run(&catalog, "require_last_name", MessageName::CreateMultiple, targets).await;
    let Err(StepFault::Refused { message, details, sub_error_code, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(message, "A contact must have a last name.");
    assert_eq!(sub_error_code, -2_146_233_088);
    let want: [(Box<str>, String); 2] = [
        ("failedRecordIndex".into(), "731".to_owned()),
        ("failedRecordId".into(), id(0x731).to_string()),
    ];
    assert_eq!(details, want);
    assert_eq!(&*trace[0], "target 731 has no last name");
}

#[tokio::test]
async fn notes_about_all_contacts_are_one_bulk_message() {
    let catalog = catalog().await;
    let mut targets: Vec<Record> = (0..100).map(|_| contact(&catalog, "Doe")).collect();
    for (number, target) in targets.iter_mut().enumerate() {
        target.id = Some(id(0x100 + number as u128));
    }
    let (answer, trace, service) =
        run(&catalog, "write_audit", MessageName::CreateMultiple, targets).await;
    assert_eq!(answer.unwrap(), StepAnswer::default());
    assert_eq!(&*trace[0], "100 notes");
    let asked = service.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    let (ServiceRequest::Write(write), _) = &asked[0] else { panic!("{asked:?}") };
    assert_eq!((write.name, write.targets.len()), (MessageName::CreateMultiple, 100));
    assert_eq!(&*write.table.logical_name, "annotation");
    let about = write.table.index_of("objectid").unwrap();
    let about = write.targets[99].cells.iter().find(|cell| cell.column == about).unwrap();
    assert_eq!(about.value.as_id(), Some(id(0x100 + 99)));
}
