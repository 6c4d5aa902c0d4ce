//! A call of a step as the context of the worlds, and the changes that come back.
//!
//! In reading order: [`head`] (what does not grow with the rows), [`given`] (the rest, for a guest of the lean form that
//! asks), [`whole`] (both at once, for one of the whole form), [`read`].
//! Not here: how lists are made and read (`codec`).
//! Invariant: changes are read as a whole before any of them counts.

use crate::bindings::exports::sheaf::plugin::lean_handler::LeanContext;
use crate::bindings::sheaf::plugin::hand_over::{Given, PackedBatch, PackedImage};
use crate::bindings::sheaf::plugin::types::{
    Batch, ContextChanges, ExecutionContext, Image, Parameter as FlatParameter,
    ParameterChange as FlatChange, ParentFrame, Payload, RunMode, TargetForm,
};
use crate::codec::halves;
use crate::codec::read::{Error as ReadError, Malformed, Reader, Refused};
use crate::codec::write::{Lists, Sheet, Writer};
use model::{Failure, Fault, Uuid};
use pipeline::step::{
    CellChange, Frame, Handler, Mode, Operand, Parameter, ParameterChange, StepAnswer, StepCall,
    StepFault,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What organisations are called.
pub(crate) const ORGANIZATION_NAME: &str = "sheaf";

/// What a message without a second table says instead.
pub(crate) const NO_SECOND_TABLE: &str = "none";

/// Handlers that are components run isolated.
const ISOLATED: u32 = 2;

/// What of a call does not grow with its rows.
pub(crate) fn head(call: &StepCall, remaining: Duration) -> LeanContext {
    let frame = &call.frame;
    LeanContext {
        type_name: match &call.step.handler {
            Handler::Type(of) => of.name.to_string(),
            Handler::Endpoint(of) => of.name.to_string(),
        },
        configuration: text(call.step.configuration.as_deref()),
        secure_configuration: text(call.step.secure_configuration.as_deref()),
        message_name: frame.message.as_str().to_owned(),
        primary_entity_name: frame.table.logical_name.to_string(),
        primary_entity_id: halves(frame.primary_id),
        secondary_entity_name: NO_SECOND_TABLE.to_owned(),
        stage: frame.stage.cast_unsigned(),
        mode: match frame.mode {
            Mode::Synchronous => RunMode::Synchronous,
            Mode::Asynchronous => RunMode::Asynchronous,
        },
        depth: frame.depth,
        is_in_transaction: frame.is_in_transaction,
        is_bulk: call.is_bulk(),
        isolation_mode: ISOLATED,
        user_id: halves(frame.users.user),
        initiating_user_id: halves(frame.users.initiating),
        authenticated_user_id: halves(frame.users.authenticated),
        business_unit_id: halves(frame.users.business_unit),
        organization_id: halves(frame.organization),
        organization_name: ORGANIZATION_NAME.to_owned(),
        environment_id: String::new(),
        tenant_id: halves(Uuid::nil()),
        initiating_user_agent: String::new(),
        is_application_user: false,
        correlation_id: halves(frame.correlation),
        operation_id: halves(frame.operation),
        request_id: halves(frame.request),
        operation_created_on: frame.operation_created_on.0.saturating_mul(1_000),
        owning_extension: halves(call.step.id),
        now: call.now.0.saturating_mul(1_000),
        random_seed: random_seed(call),
        remaining_ms: u32::try_from(remaining.as_millis()).unwrap_or(u32::MAX),
        form: match call.operand {
            Operand::Entity => TargetForm::Entity,
            Operand::Reference => TargetForm::EntityReference,
        },
        target_count: u32::try_from(call.targets.len()).unwrap_or(u32::MAX),
        hand_over_bytes: call.bytes(),
    }
}

/// What of a call grows with its rows, in the lists of one of the forms.
struct Rest<S> {
    lists: Lists<S>,
    targets: u32,
    input_parameters: Vec<FlatParameter>,
    output_parameters: Vec<FlatParameter>,
    shared_variables: Vec<FlatParameter>,
    pre_images: Vec<Image>,
    post_images: Vec<Image>,
    parents: Vec<ParentFrame>,
}

fn rest<S: Sheet>(call: &StepCall) -> Rest<S> {
    let frame = &call.frame;
    let table = &frame.table;
    let mut writer = Writer::new(&call.catalog);
    let targets = writer.batch(table, call.targets.iter().map(Some));
    let input_parameters = parameters(&mut writer, &frame.input);
    let output_parameters = parameters(&mut writer, &call.output);
    let shared_variables = parameters(&mut writer, &frame.shared);
    let mut images = |images: &[pipeline::step::Image]| -> Vec<Image> {
        let flat = images.iter().map(|image| Image {
            alias: writer.name(&image.alias),
            batch: writer.batch(table, image.rows.iter().map(Option::as_ref)),
            present: image.rows.iter().map(Option::is_some).collect(),
        });
        flat.collect()
    };
    let pre_images = images(&call.pre_images);
    let post_images = images(&call.post_images);
    let parents = call.parents.iter().map(|frame| parent(&mut writer, frame)).collect();
    debug_assert_eq!(call.bytes(), writer.size(), "the pipeline counts what is handed over");
    Rest {
        lists: writer.lists(),
        targets,
        input_parameters,
        output_parameters,
        shared_variables,
        pre_images,
        post_images,
        parents,
    }
}

/// What a guest of the lean form gets when it asks.
pub(crate) fn given(call: &StepCall) -> Given {
    let rest = rest::<PackedBatch>(call);
    let packed = |images: Vec<Image>| -> Vec<PackedImage> {
        let packed = images.into_iter().map(|Image { alias, batch, present }| PackedImage {
            alias,
            batch,
            present: present.into_iter().map(u8::from).collect(),
        });
        packed.collect()
    };
    Given {
        names: rest.lists.names,
        arena: rest.lists.arena,
        batches: rest.lists.batches,
        targets: rest.targets,
        input_parameters: rest.input_parameters,
        output_parameters: rest.output_parameters,
        shared_variables: rest.shared_variables,
        pre_images: packed(rest.pre_images),
        post_images: packed(rest.post_images),
        parents: rest.parents,
    }
}

/// All that a call is about, for a guest of the whole form.
pub(crate) fn whole(call: &StepCall, remaining: Duration) -> ExecutionContext {
    let head = head(call, remaining);
    let rest = rest::<Batch>(call);
    ExecutionContext {
        type_name: head.type_name,
        configuration: head.configuration,
        secure_configuration: head.secure_configuration,
        message_name: head.message_name,
        primary_entity_name: head.primary_entity_name,
        primary_entity_id: head.primary_entity_id,
        secondary_entity_name: head.secondary_entity_name,
        stage: head.stage,
        mode: head.mode,
        depth: head.depth,
        is_in_transaction: head.is_in_transaction,
        is_bulk: head.is_bulk,
        isolation_mode: head.isolation_mode,
        user_id: head.user_id,
        initiating_user_id: head.initiating_user_id,
        authenticated_user_id: head.authenticated_user_id,
        business_unit_id: head.business_unit_id,
        organization_id: head.organization_id,
        organization_name: head.organization_name,
        environment_id: head.environment_id,
        tenant_id: head.tenant_id,
        initiating_user_agent: head.initiating_user_agent,
        is_application_user: head.is_application_user,
        correlation_id: head.correlation_id,
        operation_id: head.operation_id,
        request_id: head.request_id,
        operation_created_on: head.operation_created_on,
        owning_extension: head.owning_extension,
        now: head.now,
        random_seed: head.random_seed,
        remaining_ms: head.remaining_ms,
        data: Payload {
            names: rest.lists.names,
            arena: rest.lists.arena,
            batches: rest.lists.batches,
        },
        form: head.form,
        targets: rest.targets,
        input_parameters: rest.input_parameters,
        output_parameters: rest.output_parameters,
        shared_variables: rest.shared_variables,
        pre_images: rest.pre_images,
        post_images: rest.post_images,
        parents: rest.parents,
    }
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

fn parameters<S: Sheet>(
    writer: &mut Writer<'_, S>,
    parameters: &[Parameter],
) -> Vec<FlatParameter> {
    parameters.iter().map(|parameter| writer.parameter(parameter)).collect()
}

fn parent<S: Sheet>(writer: &mut Writer<'_, S>, frame: &Frame) -> ParentFrame {
    ParentFrame {
        message_name: writer.name(frame.message.as_str()),
        primary_entity_name: writer.name(&frame.table.logical_name),
        primary_entity_id: halves(frame.primary_id),
        stage: frame.stage.cast_unsigned(),
        depth: frame.depth,
        correlation_id: halves(frame.correlation),
        owning_extension: halves(frame.step),
        is_bulk: frame.message.is_bulk(),
        shared_variables: parameters(writer, &frame.shared),
    }
}

/// The same for the same run of the same step, so that a run can be repeated.
fn random_seed(call: &StepCall) -> u64 {
    let record = call.record.map_or(u64::MAX, |record| record as u64);
    let mut hash = Sha256::new();
    hash.update(call.frame.correlation);
    hash.update(call.step.id);
    hash.update(call.frame.request);
    hash.update(record.to_be_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let (first, _) = hash.split_first_chunk().expect("32 bytes begin with 8");
    u64::from_be_bytes(*first)
}

/// Reads the changes of a run: all of them, or why none of them counts.
pub(crate) fn read(call: &StepCall, changes: &ContextChanges) -> Result<StepAnswer, StepFault> {
    let reader = Reader::new(&call.catalog, &changes.data);
    let mut answer = StepAnswer::default();
    for change in &changes.targets {
        let target = usize::try_from(change.row).unwrap_or(usize::MAX);
        if target >= call.targets.len() {
            return Err(crashed(&Malformed(format!(
                "row {target} of {} is changed",
                call.targets.len()
            ))));
        }
        let name = reader.name(change.column).map_err(|malformed| crashed(&malformed))?;
        let table = &call.frame.table;
        let Some(column) = table.index_of(name) else {
            return Err(crashed(&Malformed(format!(
                "`{}` has no column `{name}`",
                table.logical_name
            ))));
        };
        let value = match &change.value {
            None => None,
            Some(flat) => {
                let read = reader.value(table.column(column), flat);
                let fitting = read.map_err(|malformed| crashed(&malformed))?;
                Some(fitting.map_err(|refused| does_not_fit(call, target, refused))?)
            }
        };
        answer.targets.push(CellChange { target, column, value });
    }
    answer.input = changed(&reader, &changes.input_parameters)?;
    answer.output = changed(&reader, &changes.output_parameters)?;
    answer.shared = changed(&reader, &changes.shared_variables)?;
    Ok(answer)
}

fn changed(reader: &Reader<'_>, changes: &[FlatChange]) -> Result<Vec<ParameterChange>, StepFault> {
    let mut answer = Vec::with_capacity(changes.len());
    for change in changes {
        let name = reader.name(change.name).map_err(|malformed| crashed(&malformed))?.into();
        let value = change.value.as_ref().map(|flat| reader.parameter(flat)).transpose();
        let value = value.map_err(|error| match error {
            ReadError::Malformed(malformed) => crashed(&malformed),
            ReadError::Refused { index, refused } => {
                crashed(&Malformed(format!("row {index} of a parameter: {}", refused.message)))
            }
        })?;
        answer.push(ParameterChange { name, value });
    }
    Ok(answer)
}

fn crashed(malformed: &Malformed) -> StepFault {
    StepFault::Crashed(malformed.to_string())
}

/// A value that its column does not take is the usual fault of the column, as if the caller had sent it.
fn does_not_fit(call: &StepCall, target: usize, refused: Refused) -> StepFault {
    let fault = Fault::of_targets(vec![Failure {
        index: call.record.unwrap_or(target),
        column: refused.column,
        id: call.targets.get(target).and_then(|record| record.id),
        code: refused.code,
        message: refused.message,
    }]);
    StepFault::PassedOn(Box::new(fault))
}
