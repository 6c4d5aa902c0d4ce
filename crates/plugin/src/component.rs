//! Components: whether one may be taken, and those that are ready to be made instances of.
//!
//! Invariant: a component that imports anything but the interfaces of the world never becomes an instance.

use crate::Error;
use crate::bindings::exports::sheaf::plugin::{handler, lean_handler};
use crate::cache::Cache;
use crate::guest::{self, State};
use crate::limits::Settings;
use lru::LruCache;
use model::Fault;
use std::collections::HashSet;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

/// Components that are kept ready; the one that was not used for longest goes first.
const READY_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// What the world is called.
const PACKAGE: &str = "sheaf:plugin/";
/// Its version.
const VERSION: (u64, u64) = (1, 1);
/// What a component may import of it.
const IMPORTS: [&str; 5] = ["types", "hand-over", "organization-service", "tracing", "logging"];
/// What it must export of it: one of these, and where there are both, the first counts.
const EXPORTS: [&str; 2] = ["lean-handler", "handler"];

/// A component that is ready to be made instances of.
pub(crate) struct Ready {
    pub(crate) pre: InstancePre<State>,
    pub(crate) form: Form,
    /// The types that it offers, once it was asked.
    pub(crate) types: OnceLock<HashSet<Box<str>>>,
}

/// How a component is handed what a run is about.
#[derive(Clone)]
pub(crate) enum Form {
    /// Takes it when it wants it.
    Lean(lean_handler::GuestIndices),
    /// Gets all of it with the call.
    Whole(handler::GuestIndices),
}

impl Form {
    /// The form of what a component exports.
    fn of(pre: &InstancePre<State>, export: &str) -> wasmtime::Result<Self> {
        match export {
            "lean-handler" => lean_handler::GuestIndices::new(pre).map(Self::Lean),
            _ => handler::GuestIndices::new(pre).map(Self::Whole),
        }
    }
}

/// Why a component could not be made ready.
#[derive(Clone, Debug)]
pub(crate) enum NotReady {
    /// Its bytes could not be had.
    Missing(Box<Fault>),
    /// It cannot be taken; the text says why.
    Refused(String),
}

type Slot = Arc<OnceCell<Arc<Ready>>>;

/// All components of a process.
pub(crate) struct Components {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    ready: Mutex<LruCache<Box<str>, Slot>>,
}

impl Components {
    pub(crate) fn open(engine: Engine, settings: &Settings) -> Result<Self, Error> {
        let mut linker = Linker::new(&engine);
        let linked =
            crate::bindings::Both::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state);
        linked.map_err(|error| Error::Engine {
            doing: "linking the world",
            why: error.to_string(),
        })?;
        let cache = settings.cache.as_deref().map(Cache::open).transpose()?;
        Ok(Self { engine, linker, cache, ready: Mutex::new(LruCache::new(READY_MAX)) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The component of a hash; its bytes are asked for once, by whoever comes first.
    pub(crate) async fn ready(
        self: &Arc<Self>,
        hash: &str,
        bytes: impl Future<Output = Result<Arc<[u8]>, Fault>>,
    ) -> Result<Arc<Ready>, NotReady> {
        let slot = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.get_or_insert(hash.into(), Slot::default).clone()
        };
        slot.get_or_try_init(|| async {
            let bytes = bytes.await.map_err(|fault| NotReady::Missing(Box::new(fault)))?;
            self.prepare(bytes).await
        })
        .await
        .cloned()
    }

    /// Compiles and checks a component, away from the threads of requests.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        bytes: Arc<[u8]>,
    ) -> Result<Arc<Ready>, NotReady> {
        let this = self.clone();
        let prepared = tokio::task::spawn_blocking(move || this.prepare_here(&bytes)).await;
        prepared
            .unwrap_or_else(|error| Err(format!("the compiler failed: {error}")))
            .map(Arc::new)
            .map_err(NotReady::Refused)
    }

    fn prepare_here(&self, bytes: &[u8]) -> Result<Ready, String> {
        if crate::is_module(bytes) {
            return Err(
                "it is a core module, not a component: `sheaf plugin push` makes one of it"
                    .to_owned(),
            );
        }
        let component = match &self.cache {
            Some(cache) => cache.load(&self.engine, bytes),
            None => Component::from_binary(&self.engine, bytes),
        };
        let component = component.map_err(|error| format!("it is no component: {error:#}"))?;
        let export = check_world(&self.engine, &component)?;
        let prepared = self.linker.instantiate_pre(&component).and_then(|pre| {
            let form = Form::of(&pre, export)?;
            Ok(Ready { pre, form, types: OnceLock::new() })
        });
        prepared.map_err(|error| format!("it is not of the world `sheaf:plugin`: {error:#}"))
    }
}

/// Refuses by name what a component imports and may not, and the lack of what it must export; answers what it exports.
fn check_world(engine: &Engine, component: &Component) -> Result<&'static str, String> {
    let component = component.component_type();
    for (name, _) in component.imports(engine) {
        if !ours(name).is_some_and(|of| IMPORTS.contains(&of)) {
            return Err(format!(
                "it imports `{name}`, which plug-ins may not: there is nothing but `sheaf:plugin` 1.1"
            ));
        }
    }
    let exports = |wanted: &&str| {
        component.exports(engine).any(|(name, _)| ours(name).is_some_and(|of| of == *wanted))
    };
    EXPORTS.into_iter().find(exports).ok_or_else(|| {
        "it exports neither `sheaf:plugin/lean-handler@1.1.0` nor `sheaf:plugin/handler@1.0.0`"
            .to_owned()
    })
}

/// The interface that a name is of, where that may be one of our package and of a version that is served.
fn ours(name: &str) -> Option<&str> {
    let (of, version) = interface(name)?;
    (version.0 == VERSION.0 && version.1 <= VERSION.1).then_some(of)
}

/// Interface and version (major, minor) of a name such as `sheaf:plugin/tracing@1.0.0`.
fn interface(name: &str) -> Option<(&str, (u64, u64))> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    let mut numbers = version.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((interface, (major, minor)))
}

/// Asks a component for the types that it offers, in an instance of its own.
pub(crate) fn types_of(
    engine: &Engine,
    ready: &Ready,
    settings: &Settings,
) -> Result<Vec<pipeline::step::OfferedType>, String> {
    let types = guest::list_types(engine, ready, settings)?;
    if types.is_empty() {
        return Err("it lists no types".to_owned());
    }
    let mut names = HashSet::new();
    for offered in &types {
        let name = &*offered.name;
        if name.is_empty() || name.chars().count() > 256 {
            return Err("it lists a type whose name is empty or longer than 256".to_owned());
        }
        if !names.insert(name) {
            return Err(format!("it lists the type `{name}` twice"));
        }
    }
    Ok(types)
}
