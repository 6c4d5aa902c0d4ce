//! A build without plug-ins: no step can be registered.

use crate::options::{Error, Options};
use crate::plugins::PluginsConfig;
use pipeline::Pipeline;
use std::sync::Arc;

/// Connects nobody; refuses a configuration that asks for more.
pub(crate) fn open(_: &Arc<Pipeline>, options: &Options, _: bool) -> Result<(), Error> {
    let off = PluginsConfig { enabled: false, ..PluginsConfig::default() };
    if [PluginsConfig::default(), off].contains(&options.config.plugins) {
        return Ok(());
    }
    Err(Error::Plugins { why: "this program was built without plug-ins".to_owned() })
}
