//! `sheaf serve`, `sheaf user` and `sheaf demo` in a build without the service.

use crate::args::{Demo, Serve, Usage, User};

const ABSENT: &str = "this build is the client alone: it was made without the feature `serve`";

pub(crate) async fn serve(_: Serve) -> anyhow::Result<u8> {
    Err(Usage(ABSENT.to_owned()).into())
}

pub(crate) async fn user(_: User) -> anyhow::Result<u8> {
    Err(Usage(ABSENT.to_owned()).into())
}

pub(crate) async fn demo(_: Demo) -> anyhow::Result<u8> {
    Err(Usage(ABSENT.to_owned()).into())
}
