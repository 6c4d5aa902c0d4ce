//! The host of plug-ins, opened as the options say.
//!
//! Not here: what it does (`plugin`).

use crate::options::{Error, Options, StoreChoice};
use crate::plugins::PluginsConfig;
use pipeline::Pipeline;
use plugin::{Host, Settings, webhook};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The directory of compiled components, in whichever directory is theirs.
const DIRECTORY: &str = "components";
/// Memory of a guest: what even a small one needs, and what 32 bits can address.
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=4 << 30;
/// More threads than this is a slip of the pen.
const GUESTS_MAX: usize = 1_024;
/// No limit of time: as long as the contexts of guests can say in milliseconds.
const TIME_UNLIMITED: Duration = Duration::from_secs(40 * 86_400);

/// Opens the host and connects it to the pipeline, unless it is switched off. Where tokens are not looked at, everything
/// happens on one machine, and webhooks may be posted to it.
pub(crate) fn open(
    pipeline: &Arc<Pipeline>,
    options: &Options,
    checks_tokens: bool,
) -> Result<(), Error> {
    let mut settings = settings(options, checks_tokens).map_err(|why| Error::Plugins { why })?;
    if !options.config.plugins.enabled {
        return Ok(());
    }
    let failed = |error: plugin::Error| Error::PluginHost { source: error.into() };
    let host = match Host::open(settings.clone()) {
        // Nobody asked for this directory: without it components are compiled at every start.
        Err(plugin::Error::Cache { path, why }) if is_guessed(options) => {
            tracing::warn!(path = %path.display(), %why, "compiled components are not kept");
            settings.cache = None;
            Host::open(settings)
        }
        opened => opened,
    };
    pipeline.run_steps_with(Arc::new(host.map_err(failed)?));
    Ok(())
}

/// What the host may do. The error says what cannot be meant.
fn settings(options: &Options, checks_tokens: bool) -> Result<Settings, String> {
    let PluginsConfig { enabled: _, guests, memory_bytes, cache: _, trusted, webhooks } =
        &options.config.plugins;
    let given = Settings::default();
    let guests_max = guests.unwrap_or(given.guests_max);
    if !(1..=GUESTS_MAX).contains(&guests_max) {
        return Err(format!("`guests` is 1 to {GUESTS_MAX}, not {guests_max}"));
    }
    let memory_bytes_max = memory_bytes.unwrap_or(given.memory_bytes_max);
    if !MEMORY_BYTES.contains(&(memory_bytes_max as u64)) {
        let (least, most) = MEMORY_BYTES.into_inner();
        return Err(format!("`memory_bytes` is {least} to {most}, not {memory_bytes_max}"));
    }
    let hash = |text: &String| {
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_hash {
            true => Ok(text.to_ascii_lowercase().into_boxed_str()),
            false => Err(format!("`trusted` takes SHA-256 in 64 hexadecimal digits, not `{text}`")),
        }
    };
    if let Some(host) = webhooks.hosts.iter().find(|host| !is_host(host)) {
        return Err(format!(
            "`webhooks.hosts` takes names and addresses without scheme or port, not `{host}`"
        ));
    }
    let attempt_max = webhooks.attempt_seconds.map(Duration::from_secs);
    if attempt_max.is_some_and(|time| time.is_zero()) {
        return Err("`webhooks.attempt_seconds` is 1 at least".to_owned());
    }
    let deliveries = webhook::Settings {
        enabled: webhooks.enabled,
        organization: webhooks.organization.clone().unwrap_or(given.webhooks.organization),
        attempt_max: attempt_max.unwrap_or(given.webhooks.attempt_max),
        allow_loopback: !checks_tokens,
        allowed_hosts: webhooks.hosts.clone(),
    };
    let step_time = options.limits.step_time;
    Ok(Settings {
        guests_max,
        memory_bytes_max,
        context_bytes_max: options.limits.context_bytes as u64,
        time_max: if step_time.is_zero() { TIME_UNLIMITED } else { step_time.min(TIME_UNLIMITED) },
        cache: cache(options).map(|directory| directory.join(DIRECTORY)),
        trusted: trusted.iter().map(hash).collect::<Result<_, _>>()?,
        webhooks: deliveries,
        fuel: given.fuel,
        pooled: given.pooled,
    })
}

/// A name or an address, as it stands in an address of the web without its brackets.
fn is_host(text: &str) -> bool {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let of_name = |char: char| char.is_alphanumeric() || matches!(char, '-' | '.' | '_');
    is_address || (!text.is_empty() && text.chars().all(of_name))
}

/// Where compiled components are kept: as configured, else beside the rows, else where this user's caches are.
fn cache(options: &Options) -> Option<PathBuf> {
    match (&options.config.plugins.cache, &options.store) {
        (Some(directory), _) => Some(directory.clone()),
        (None, StoreChoice::Directory(data)) => Some(data.clone()),
        (None, StoreChoice::Postgres(_)) => {
            let variable = |name| std::env::var_os(name).map(PathBuf::from);
            let absolute = |path: &PathBuf| path.is_absolute();
            let of_home = || Some(variable("HOME").filter(absolute)?.join(".cache"));
            let caches = variable("XDG_CACHE_HOME").filter(absolute).or_else(of_home);
            caches.map(|directory| directory.join("sheaf"))
        }
    }
}

/// Whether nobody named the directory of compiled components, not even by naming one for rows.
fn is_guessed(options: &Options) -> bool {
    options.config.plugins.cache.is_none() && matches!(options.store, StoreChoice::Postgres(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::net::SocketAddr;

    fn options(text: &str) -> Options {
        let config: Config = toml::from_str(text).expect("it is understood");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut options = Options::new(address, StoreChoice::Directory("d".into()));
        options.config = config;
        options
    }

    #[test]
    fn what_the_section_says_is_what_the_host_gets() {
        let hash = "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08";
        let text = format!(
            "[plugins]\nguests = 3\nmemory_bytes = 2_000_000\ncache = \"c\"\ntrusted = [\"{hash}\"]\n\
             [plugins.webhooks]\nenabled = false\nhosts = [\"hooks.internal\", \"::1\"]\n\
             organization = \"org.example\"\nattempt_seconds = 5"
        );
        let mut options = options(&text);
        options.limits.step_time = Duration::from_secs(7);
        options.limits.context_bytes = 9;
        let settings = settings(&options, true).expect("it can be honoured");
        assert_eq!((settings.guests_max, settings.memory_bytes_max), (3, 2_000_000));
        assert_eq!(settings.cache, Some("c/components".into()));
        assert_eq!(settings.trusted, [hash.to_lowercase().into_boxed_str()]);
        assert_eq!((settings.time_max, settings.context_bytes_max), (Duration::from_secs(7), 9));
        let webhooks = settings.webhooks;
        assert!(!webhooks.enabled && !webhooks.allow_loopback);
        assert_eq!(webhooks.allowed_hosts, ["hooks.internal", "::1"]);
        assert_eq!(webhooks.organization, "org.example");
        assert_eq!(webhooks.attempt_max, Duration::from_secs(5));
    }

    #[test]
    fn without_the_section_components_lie_beside_the_rows_and_loopback_is_for_development() {
        let options = options("");
        let open = settings(&options, false).expect("it can be honoured");
        assert!(open.webhooks.allow_loopback && open.webhooks.enabled);
        assert_eq!(open.cache, Some("d/components".into()));
        assert_eq!(open.time_max, Duration::from_secs(120));
        assert!(!settings(&options, true).expect("it can be honoured").webhooks.allow_loopback);
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (text, want) in [
            ("guests = 0", "`guests`"),
            ("guests = 2_000", "`guests`"),
            ("memory_bytes = 5", "`memory_bytes`"),
            ("trusted = [\"mine\"]", "`mine`"),
            ("webhooks.hosts = [\"https://x\"]", "`https://x`"),
            ("webhooks.hosts = [\"x:80\"]", "`x:80`"),
            ("webhooks.attempt_seconds = 0", "`webhooks.attempt_seconds`"),
        ] {
            let options = options(&format!("[plugins]\n{text}"));
            let why = settings(&options, false).expect_err(text);
            assert!(why.contains(want), "{text}: {why}");
        }
        for text in ["guest = 1", "webhooks.host = []", "guests = -1", "enabled = 1"] {
            assert!(toml::from_str::<Config>(&format!("[plugins]\n{text}")).is_err(), "{text}");
        }
    }
}
