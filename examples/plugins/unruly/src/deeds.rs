//! What unruly guests do, by what their step's configuration says: the same for each form of the world.
//!
//! `crate::world` names the bindings of the form.

use crate::world::service;
use crate::world::trace;
use crate::world::{
    Batch, Cell, CellChange, ContextChanges, EntityRef, Fault, Guid, InvalidExecution,
    OperationStatus, ParameterChange, Payload, PluginError, Row, Span, Value,
};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the types are called; `configuration` says the rest.
pub const TYPES: [&str; 2] = ["unruly", "never"];

/// Runs of this instance.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// What a deed has to know of its run.
pub struct About<'a> {
    pub configuration: &'a str,
    pub depth: u32,
    pub random_seed: u64,
}

/// Does what the configuration says.
pub fn run(about: &About<'_>) -> Result<ContextChanges, PluginError> {
    let run = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
    let (what, argument) =
        about.configuration.split_once(' ').unwrap_or((about.configuration, ""));
    match what {
        "idle" => Ok(nothing()),
        "runs" => Ok(shared("runs", Value::Integer(run.cast_signed()))),
        "loop" => loop {
            black_box(run);
        },
        "allocate" => allocate(),
        "panic" => panic!("as asked"),
        "bounds" => Ok(shared("never", Value::Integer(out_of_bounds()))),
        "stack" => Ok(shared("never", Value::Integer(deep(run.cast_signed())))),
        "trace" => {
            trace(&format!("line {run}"));
            trace(argument);
            Err(PluginError::Unexpected("traced".to_owned()))
        }
        "refuse" => Err(refuse(argument)),
        "discard" => {
            drop(shared("never", Value::Null));
            Err(refuse("after changes"))
        }
        "fault" => Err(PluginError::Fault(Fault {
            code: 0x8004_0220_u32.cast_signed(),
            message: "made up".to_owned(),
            details: Vec::new(),
        })),
        "call" => call(argument).map_err(PluginError::Fault),
        "nest" if about.depth >= argument.parse().unwrap_or(1) => Ok(nothing()),
        "nest" => {
            for _ in 0..2 {
                call("nested").map_err(PluginError::Fault)?;
            }
            Ok(nothing())
        }
        "swallow" => {
            let answer = call(argument);
            trace(&format!("{}", answer.is_err()));
            Ok(nothing())
        }
        "calls" => {
            let count = argument.parse().unwrap_or(1);
            for _ in 0..count {
                call("new_nested").map_err(PluginError::Fault)?;
            }
            Ok(nothing())
        }
        "system" => {
            let options = service::Options { caller: service::Caller::System, ..user() };
            let page = service::retrieve_multiple(
                &service::Query::Odata("contacts".to_owned()),
                &options,
            );
            page.map(|_| nothing()).map_err(PluginError::Fault)
        }
        "no-rows" => {
            let rows = payload(Vec::new(), "contact");
            service::create(&rows, &user()).map(|_| nothing()).map_err(PluginError::Fault)
        }
        "bad-call" => bad_call(argument).map_err(PluginError::Fault),
        "garbage" => Ok(garbage(argument)),
        "seed" => Ok(shared("seed", Value::BigInteger(about.random_seed.cast_signed()))),
        other => Err(PluginError::Unexpected(format!("no such thing: {other}"))),
    }
}

pub fn nothing() -> ContextChanges {
    ContextChanges {
        data: Payload { names: Vec::new(), arena: Vec::new(), batches: Vec::new() },
        targets: Vec::new(),
        input_parameters: Vec::new(),
        output_parameters: Vec::new(),
        shared_variables: Vec::new(),
    }
}

fn shared(name: &str, value: Value) -> ContextChanges {
    let mut changes = nothing();
    changes.data.names.push(name.to_owned());
    changes.shared_variables.push(ParameterChange { name: 0, value: Some(value) });
    changes
}

fn refuse(text: &str) -> PluginError {
    PluginError::InvalidExecution(InvalidExecution {
        message: text.to_owned(),
        status: OperationStatus::Canceled,
        sub_error_code: 12_345,
        http_status: None,
        details: vec![("failedRecordIndex".to_owned(), "1".to_owned())],
    })
}

fn user() -> service::Options {
    service::Options {
        caller: service::Caller::User,
        bypass_sync: false,
        bypass_async: false,
        tag: None,
    }
}

fn allocate() -> ! {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(black_box(vec![1; 1 << 20]));
    }
}

#[inline(never)]
fn out_of_bounds() -> i32 {
    // Far behind the end of the memory, which no safe program reaches.
    let address = black_box(usize::MAX - 64) as *const i32;
    unsafe { address.read_volatile() }
}

#[inline(never)]
fn deep(depth: i32) -> i32 {
    let room = black_box([depth; 64]);
    if black_box(depth) == i32::MIN {
        return room[3];
    }
    deep(depth.wrapping_add(1)).wrapping_add(room[5])
}

fn payload(rows: Vec<Row>, table: &str) -> Payload {
    Payload {
        names: vec![table.to_owned()],
        arena: Vec::new(),
        batches: vec![Batch { table: 0, rows, cells: Vec::new() }],
    }
}

fn empty_row() -> Row {
    Row {
        id: Guid { hi: 0, lo: 0 },
        first: 0,
        count: 0,
        first_key: 0,
        key_count: 0,
        row_version: 0,
    }
}

/// Makes a contact whose last name is the argument.
fn call(argument: &str) -> Result<ContextChanges, Fault> {
    let mut rows = payload(vec![Row { count: 1, ..empty_row() }], "contact");
    rows.names.push("lastname".to_owned());
    rows.arena = argument.as_bytes().to_vec();
    let span = Span { at: 0, len: argument.len() as u32 };
    rows.batches[0].cells.push(Cell { column: 1, value: Value::Text(span) });
    let id = service::create(&rows, &user())?;
    Ok(shared("created", Value::Id(id)))
}

/// Calls the service with lists that do not hold together.
fn bad_call(what: &str) -> Result<ContextChanges, Fault> {
    let mut rows = payload(vec![Row { count: 1, ..empty_row() }], "contact");
    rows.names.push("lastname".to_owned());
    let far = Span { at: u32::MAX - 1, len: u32::MAX };
    rows.batches[0].cells.push(Cell { column: 1, value: Value::Text(far) });
    match what {
        "span" => {}
        "table" => rows.names[0] = "no_such_table".to_owned(),
        "column" => rows.names[1] = "no_such_column".to_owned(),
        "cells" => rows.batches[0].rows[0].count = 77,
        "batch" => rows.batches.clear(),
        _ => rows.batches[0].cells[0].column = 99,
    }
    service::create(&rows, &user()).map(|_| nothing())
}

/// Answers changes that do not hold together.
fn garbage(what: &str) -> ContextChanges {
    let mut changes = nothing();
    changes.data.names =
        vec!["lastname".to_owned(), "contactid".to_owned(), "no_such_column".to_owned()];
    changes.data.arena = vec![0xff, 0xfe, b'a', b'b'];
    let mut change =
        |row, column, value| changes.targets.push(CellChange { row, column, value: Some(value) });
    let text = |at, len| Value::Text(Span { at, len });
    // A good change first: it must not count either.
    change(0, 0, text(2, 2));
    match what {
        "row" => change(7_000, 0, Value::Null),
        "name" => change(0, 88, Value::Null),
        "column" => change(0, 2, Value::Null),
        "span" => change(0, 0, text(u32::MAX, u32::MAX)),
        "utf8" => change(0, 0, text(0, 2)),
        "table" => change(
            0,
            0,
            Value::Lookup(EntityRef {
                table: 2,
                id: Guid { hi: 1, lo: 1 },
                name: Span { at: 0, len: 0 },
            }),
        ),
        "rows" => {
            changes.shared_variables.push(ParameterChange { name: 0, value: Some(Value::Rows(3)) })
        }
        "bomb" => {
            // A small list that unfolds to a very large one.
            changes.data.arena = vec![b'x'; 1 << 20];
            for name in 0..3 {
                for _ in 0..10_000 {
                    let value = Some(text(0, 1 << 20));
                    changes.shared_variables.push(ParameterChange { name, value });
                }
            }
        }
        _ => {}
    }
    changes
}
