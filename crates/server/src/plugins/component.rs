//! What a file of a plug-in is, looked at before it is sent to a service.

use pipeline::step::StepRunner;
use plugin::{Host, Settings};
use std::sync::Arc;

/// A component that any service of this version would take.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// The names of the types that it offers, with what each says of itself.
    pub types: Vec<(String, String)>,
}

/// Makes a component of a core module, takes one as it is, and asks it what it offers.
///
/// Errors: why it cannot be taken.
pub async fn component(file: Vec<u8>) -> Result<Component, String> {
    let bytes: Arc<[u8]> = match plugin::is_module(&file) {
        true => plugin::componentize(&file)?.into(),
        false => file.into(),
    };
    let settings = Settings { guests_max: 1, ..Settings::default() };
    let host = Host::open(settings).map_err(|error| error.to_string())?;
    let offered = host.inspect(bytes.clone()).await?;
    let types = offered.into_iter().map(|of| (of.name.into(), of.description.into())).collect();
    Ok(Component { bytes, types })
}
