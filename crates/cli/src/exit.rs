//! What the exit code of a call that failed as a whole says.
//!
//! Not here: the codes of runs whose rows failed (`output`).

use crate::USAGE;
use crate::args;
use client::{
    bench, get, infer, profile, registration, remove, secret, service, set, source, transport,
};

/// A wrong call is 2, a refused caller 3, anything else that fails the run as a whole 7.
pub(crate) fn code_of(err: &anyhow::Error) -> u8 {
    for cause in err.chain() {
        if let Some(err) = cause.downcast_ref() {
            return of_run(err);
        }
        if cause.is::<args::Usage>() || cause.is::<infer::Error>() {
            return USAGE;
        }
        if let Some(code) = of_identity(cause) {
            return code;
        }
        if let Some(err) = cause.downcast_ref() {
            return of_service(err);
        }
        if let Some(err) = cause.downcast_ref() {
            return of_source(err);
        }
        match cause.downcast_ref() {
            Some(registration::Error::Service(err)) => return of_service(err),
            Some(
                registration::Error::Missing { .. }
                | registration::Error::Several { .. }
                | registration::Error::Orphans(_),
            ) => return USAGE,
            None => {}
        }
        match cause.downcast_ref() {
            Some(set::Error::Service(err)) => return of_service(err),
            Some(set::Error::Source(err)) => return of_source(err),
            Some(set::Error::Headers(_) | set::Error::Wish(_)) => return USAGE,
            Some(set::Error::Report(_) | set::Error::Reader(_)) | None => {}
        }
        if let Some(code) = cause.downcast_ref().and_then(of_get) {
            return code;
        }
        if let Some(code) = cause.downcast_ref().map(of_bench) {
            return code;
        }
        match cause.downcast_ref() {
            Some(remove::Error::Service(err)) => return of_service(err),
            Some(remove::Error::Source(err)) => return of_source(err),
            Some(
                remove::Error::NoIdColumn(_) | remove::Error::Match(_) | remove::Error::Headers(_),
            ) => return USAGE,
            Some(remove::Error::Get(err)) => {
                if let Some(code) = of_get(err) {
                    return code;
                }
            }
            Some(remove::Error::Report(_) | remove::Error::Reader(_)) | None => {}
        }
    }
    7
}

/// Who calls cannot be told, or is not let in.
fn of_identity(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(err) = cause.downcast_ref() {
        return match err {
            profile::Error::Missing { .. }
            | profile::Error::BadName(_)
            | profile::Error::Beside { .. }
            | profile::Error::Certificate { .. } => Some(USAGE),
            profile::Error::Secret { .. } => Some(3),
            profile::Error::File { .. } | profile::Error::Unreadable { .. } => Some(7),
        };
    }
    if cause.is::<secret::Error>() {
        return Some(3);
    }
    match cause.downcast_ref() {
        Some(transport::Error::Issuer(_)) => Some(3),
        Some(transport::Error::Unsent(_) | transport::Error::Lost(_)) => Some(7),
        None => None,
    }
}

/// None where its cause tells.
fn of_get(err: &get::Error) -> Option<u8> {
    match err {
        get::Error::Service(err) => Some(of_service(err)),
        get::Error::Source(err) => Some(of_source(err)),
        get::Error::NoColumn { .. }
        | get::Error::Wish(_)
        | get::Error::Match(_)
        | get::Error::Headers(_) => Some(USAGE),
        get::Error::TooMany(_)
        | get::Error::Page(_)
        | get::Error::Write(_)
        | get::Error::Writer(_) => None,
    }
}

/// Rows that are left are a failure of the whole, whatever came before.
fn of_bench(err: &bench::Error) -> u8 {
    match err {
        bench::Error::Service(err) => of_service(err),
        bench::Error::Wish(_) => USAGE,
        bench::Error::Refused(problem) if problem.class == client::problem::Class::Access => 3,
        bench::Error::Refused(_) | bench::Error::Unreachable(_) => 1,
        bench::Error::Left { .. } => 7,
    }
}

fn of_service(err: &service::Error) -> u8 {
    match err {
        service::Error::NoTable { .. } | service::Error::Strangers { .. } => USAGE,
        service::Error::Refused { problem, .. } => match problem.class {
            client::problem::Class::Access => 3,
            _ => 1,
        },
        service::Error::NoToken(_) => 3,
        service::Error::Unreachable(_) | service::Error::Unreadable { .. } => 7,
    }
}

fn of_source(err: &source::Error) -> u8 {
    match err {
        source::Error::Open { .. }
        | source::Error::NoHeaders
        | source::Error::RepeatedHeader(_)
        | source::Error::Stream => USAGE,
        source::Error::Read { .. } => 7,
    }
}

fn of_run(err: &client::run::Error) -> u8 {
    use client::run::Error;
    match err {
        Error::BadName(_) | Error::Exists(_) | Error::Missing(_) | Error::Busy(_) => USAGE,
        Error::Changed { .. } => USAGE,
        Error::File { .. } | Error::Unreadable { .. } => 7,
    }
}
