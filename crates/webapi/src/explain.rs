//! `SheafExplainSteps`, a function of our own: which steps would run for a message, and in which order.
//!
//! `SheafExplainSteps(Message='UpdateMultiple',Table='contact',Targets=100,Columns=['lastname'])`, for system
//! administrators. `Columns` are those that the targets would have; with them it is told which steps wait for others.
//! The headers that leave steps out count.
//! Not here: the plan itself (`pipeline`). Invariant: nothing runs, nothing is changed.

use crate::api::{Attempt, Stop};
use crate::arguments::Arguments;
use crate::fault::Problem;
use crate::functions;
use crate::route::Function;
use bytes::Bytes;
use http::Response;
use model::{MessageName, Table};
use pipeline::step::plan::{Form, StagePlan, Turn};
use pipeline::step::{Handler, Mode, Stage, Step};
use serde_json::{Value, json};
use std::sync::Arc;

/// Targets that a plan is made for at most.
const TARGETS_MAX: usize = 100_000;

/// What every Update has from stage 20 on, besides what was sent.
const ADDED: [&str; 3] = ["modifiedon", "modifiedby", "modifiedonbehalfby"];

/// Answers the function.
pub(crate) async fn call(
    attempt: &Attempt<'_>,
    arguments: &Arguments,
) -> Result<Response<Bytes>, Stop> {
    let context = &attempt.context;
    attempt.pipeline.only_administrators(context.caller, context.now).await?;
    let message = message(arguments)?;
    let table = table(attempt, arguments)?;
    let targets = targets(arguments, message)?;
    let columns = columns(arguments, table)?;
    let plans = attempt.pipeline.explain(context, message, table, targets).await?;
    let plans: Vec<Value> = plans.iter().map(|plan| told(plan, columns.as_deref())).collect();
    let function = Function::ExplainSteps;
    Ok(functions::ok(&json!({
        "@odata.context": functions::context(attempt, function),
        "Plans": plans,
    })))
}

fn text<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a str, Problem> {
    let bad = || functions::bad_arguments(Function::ExplainSteps);
    arguments.get(name).as_str().ok_or_else(bad)
}

fn message(arguments: &Arguments) -> Result<MessageName, Problem> {
    let given = text(arguments, "Message")?;
    let named = MessageName::ALL.into_iter().find(|name| name.as_str() == given);
    named.ok_or_else(|| Problem::argument(format!("There is no message '{given}'.")))
}

fn table<'a>(attempt: &'a Attempt<'_>, arguments: &Arguments) -> Result<&'a Arc<Table>, Problem> {
    let name = text(arguments, "Table")?;
    let table = attempt.context.catalog.table(name);
    table.ok_or_else(|| Problem::no_definition("entity", name))
}

fn targets(arguments: &Arguments, message: MessageName) -> Result<usize, Problem> {
    let most = if message.is_bulk() { TARGETS_MAX } else { 1 };
    let given = match arguments.get("Targets") {
        Value::Null => Some(1),
        given => given.as_u64().and_then(|given| usize::try_from(given).ok()),
    };
    given.filter(|given| (1..=most).contains(given)).ok_or_else(|| {
        Problem::argument(format!("The parameter 'Targets' of {message} is 1 to {most}."))
    })
}

/// The columns that targets would have; none where nothing is said.
fn columns<'a>(arguments: &'a Arguments, table: &Table) -> Result<Option<Vec<&'a str>>, Problem> {
    let bad = || functions::bad_arguments(Function::ExplainSteps);
    let given = match arguments.get("Columns") {
        Value::Null => return Ok(None),
        given => given.as_array().ok_or_else(bad)?,
    };
    let named = given.iter().map(|name| {
        let name = name.as_str().ok_or_else(bad)?;
        match table.index_of(name) {
            Some(_) => Ok(name),
            None => Err(Problem::argument(format!(
                "The table '{}' has no column '{name}'.",
                table.logical_name
            ))),
        }
    });
    named.collect::<Result<_, _>>().map(Some)
}

/// A plan as text for people, and its steps one by one.
fn told(plan: &StagePlan, columns: Option<&[&str]>) -> Value {
    let is_due = |step: &Step| due(step, &plan.table, columns);
    let of_turn = |turn: &Turn| {
        let records = plan.events.get(turn.event).map_or(0, |event| event.records.len());
        let runs = match turn.form {
            Form::All => 1,
            Form::Each => records,
        };
        let told = |step: &Arc<Step>| step_told(step, runs, is_due(step));
        turn.steps.iter().map(told).collect::<Vec<Value>>()
    };
    let steps: Vec<Value> = plan.turns.iter().chain(&plan.queued).flat_map(of_turn).collect();
    let targets: usize = plan.events.iter().map(|event| event.records.len()).sum();
    json!({
        "Message": plan.message.as_str(),
        "Table": &*plan.table.logical_name,
        "Targets": targets,
        "Text": printed(plan, is_due),
        "Steps": steps,
    })
}

fn step_told(step: &Step, runs: usize, is_due: Option<bool>) -> Value {
    let (kind, handler) = match &step.handler {
        Handler::Type(of) => ("plugintype", &*of.name),
        Handler::Endpoint(endpoint) => ("serviceendpoint", &*endpoint.name),
    };
    let filter: Vec<&str> = match waits(step) {
        true => step.filtering.iter().map(|name| &**name).collect(),
        false => Vec::new(),
    };
    json!({
        "StepId": step.id.to_string(),
        "Name": &*step.name,
        "Message": step.message.as_str(),
        "Stage": step.stage.number(),
        "Mode": i32::from(step.mode == Mode::Asynchronous),
        "Rank": step.rank,
        "HandlerType": kind,
        "Handler": handler,
        "Runs": runs,
        "Filter": filter,
        "IsDue": is_due,
    })
}

/// The plan in words, without steps that are not due; those stand behind it.
fn printed(plan: &StagePlan, is_due: impl Fn(&Step) -> Option<bool>) -> String {
    let mut left_out: Vec<Arc<Step>> = Vec::new();
    let mut split = |turns: &[Turn]| {
        let mut kept = Vec::new();
        for turn in turns {
            let is_left = |step: &&Arc<Step>| is_due(step) == Some(false);
            left_out.extend(turn.steps.iter().filter(is_left).cloned());
            let steps = turn.steps.iter().filter(|step| !is_left(step)).cloned().collect();
            kept.push(Turn { steps, ..turn.clone() });
        }
        kept.retain(|turn: &Turn| !turn.steps.is_empty());
        kept
    };
    let (turns, queued) = (split(&plan.turns), split(&plan.queued));
    let mut text = StagePlan { turns, queued, ..plan.clone() }.to_string();
    if !left_out.is_empty() {
        text.push_str("left out, because no target has a column that they wait for:\n");
    }
    for step in left_out {
        let columns = step.filtering.join(", ");
        let (rank, message) = (step.rank, step.message);
        text.push_str(&format!("    {rank} {message} \"{}\" if {columns}\n", step.name));
    }
    text
}

/// Whether columns decide about a step.
fn waits(step: &Step) -> bool {
    let has_meaning = matches!(step.message, MessageName::Update | MessageName::UpdateMultiple);
    has_meaning && !step.filtering.is_empty()
}

/// Whether a step runs for targets with these columns, as far as earlier steps add none; none where it depends on
/// columns and nothing is said about them.
fn due(step: &Step, table: &Table, columns: Option<&[&str]>) -> Option<bool> {
    if !waits(step) {
        return Some(true);
    }
    let sent = columns?;
    let key = &*table.column(table.primary_key).logical_name;
    let is_there = |name: &str| {
        sent.contains(&name)
            || name == key
            || (step.stage != Stage::PreValidation && ADDED.contains(&name))
    };
    Some(step.filtering.iter().any(|name| is_there(name)))
}
