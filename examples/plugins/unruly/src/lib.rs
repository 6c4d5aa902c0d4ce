//! Plug-ins that misbehave, each in one way: what the host is tested with. Never register them where data matters.
//!
//! They are written against the bare world, because what an author of the SDK writes cannot answer garbage.

use plugin_sdk::bindings::exports::sheaf::plugin::handler::{Guest, PluginType};
use plugin_sdk::bindings::sheaf::plugin::organization_service as service;
use plugin_sdk::bindings::sheaf::plugin::tracing::trace;
use plugin_sdk::bindings::sheaf::plugin::types::{
    Batch, Cell, CellChange, ContextChanges, EntityRef, ExecutionContext, Fault, Guid,
    InvalidExecution, OperationStatus, ParameterChange, Payload, PluginError, Row, Span, Value,
};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

struct Unruly;

/// What the types are called; `configuration` says the rest.
const TYPE: &str = "unruly";

/// Runs of this instance.
static RUNS: AtomicU32 = AtomicU32::new(0);

impl Guest for Unruly {
    fn list_types() -> Vec<PluginType> {
        let named = |name: &str| PluginType {
            type_name: name.to_owned(),
            friendly_name: String::new(),
            description: String::new(),
        };
        vec![named(TYPE), named("never")]
    }

    fn execute(ctx: ExecutionContext) -> Result<ContextChanges, PluginError> {
        let run = RUNS.fetch_add(1, Ordering::Relaxed) + 1;
        let (what, argument) =
            ctx.configuration.split_once(' ').unwrap_or((&ctx.configuration, ""));
        match what {
            "idle" => Ok(nothing()),
            "mark" => Ok(mark(&ctx, argument)),
            "pick" => pick(&ctx, argument),
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
            "call" => call(&ctx, argument).map_err(PluginError::Fault),
            "nest" if ctx.depth >= argument.parse().unwrap_or(1) => Ok(nothing()),
            "nest" => {
                for _ in 0..2 {
                    call(&ctx, "nested").map_err(PluginError::Fault)?;
                }
                Ok(nothing())
            }
            "swallow" => {
                let answer = call(&ctx, argument);
                trace(&format!("{}", answer.is_err()));
                Ok(nothing())
            }
            "calls" => {
                let count = argument.parse().unwrap_or(1);
                for _ in 0..count {
                    call(&ctx, "new_nested").map_err(PluginError::Fault)?;
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
            "seed" => Ok(shared("seed", Value::BigInteger(ctx.random_seed.cast_signed()))),
            other => Err(PluginError::Unexpected(format!("no such thing: {other}"))),
        }
    }
}

plugin_sdk::bindings::export!(Unruly with_types_in plugin_sdk::bindings);

fn nothing() -> ContextChanges {
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

/// Sets a column of every target.
fn mark(ctx: &ExecutionContext, column: &str) -> ContextChanges {
    let mut changes = nothing();
    changes.data.names.push(column.to_owned());
    changes.data.arena = b"marked".to_vec();
    let text = || Some(Value::Text(Span { at: 0, len: 6 }));
    let rows = ctx.data.batches[ctx.targets as usize].rows.len() as u32;
    changes.targets = (0..rows).map(|row| CellChange { row, column: 0, value: text() }).collect();
    changes
}

/// Refuses targets with this text in some column, and traces how many targets there are.
fn pick(ctx: &ExecutionContext, word: &str) -> Result<ContextChanges, PluginError> {
    let targets = &ctx.data.batches[ctx.targets as usize];
    trace(&format!("{} of {} {}", ctx.message_name, targets.rows.len(), ctx.primary_entity_name));
    let is_word = |cell: &Cell| match cell.value {
        Value::Text(span) => {
            let (from, to) = (span.at as usize, (span.at + span.len) as usize);
            ctx.data.arena.get(from..to) == Some(word.as_bytes())
        }
        _ => false,
    };
    match targets.cells.iter().any(is_word) {
        true => Err(refuse(&format!("no {word}"))),
        false => Ok(nothing()),
    }
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
fn call(_: &ExecutionContext, argument: &str) -> Result<ContextChanges, Fault> {
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
