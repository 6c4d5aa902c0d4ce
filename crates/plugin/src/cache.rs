//! Compiled components: in memory, and in files of the service's own directory.
//!
//! A file is named after the component's hash and the engine's version and settings, and begins with the hash of what
//! follows: a file that is cut, changed or of another engine is compiled anew and replaced.
//! Invariant: machine code is loaded only after its hash was compared; it is never taken from anywhere but this
//! directory, which the service makes for itself.

use crate::Error;
use sha2::{Digest, Sha256};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::Engine;
use wasmtime::component::Component;

/// What every file begins with.
const MAGIC: &[u8; 16] = b"sheaf component1";

/// Bytes before the machine code: the magic and its SHA-256.
const HEAD_BYTES: usize = MAGIC.len() + 32;

/// The files of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    /// Of this process: how often a component was compiled because no file held it.
    pub(crate) compiled: AtomicU64,
}

impl Cache {
    /// Opens the directory, making it if it is not there.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Cache { path: directory.into(), why: error };
        fs::create_dir_all(directory).map_err(failed)?;
        only_for_us(directory).map_err(failed)?;
        Ok(Self { directory: directory.into(), compiled: AtomicU64::new(0) })
    }

    /// The component, from its file or compiled. A file that cannot be written costs time later, nothing else.
    pub(crate) fn load(&self, engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, bytes);
        if let Some(component) = fs::read(&path).ok().and_then(|file| from_file(engine, &file)) {
            return Ok(component);
        }
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let code = engine.precompile_component(bytes)?;
        if let Err(error) = self.keep(&path, &code) {
            tracing::warn!(path = %path.display(), %error, "a compiled component is not kept");
        }
        from_code(engine, &code)
    }

    pub(crate) fn path(&self, engine: &Engine, bytes: &[u8]) -> PathBuf {
        let mut engine_hash = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut engine_hash);
        let component_hash = hex(&Sha256::digest(bytes));
        self.directory.join(format!("{component_hash}-{:016x}.code", engine_hash.finish()))
    }

    /// Writes a file beside and moves it into place, so that no reader meets half of one.
    fn keep(&self, path: &Path, code: &[u8]) -> std::io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{number}.new", std::process::id()));
        let mut file = fs::File::create(&beside)?;
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    }
}

/// The component of a file, if the file is whole and of this engine.
fn from_file(engine: &Engine, file: &[u8]) -> Option<Component> {
    let (head, code) = file.split_at_checked(HEAD_BYTES)?;
    let (magic, hash) = head.split_at(MAGIC.len());
    if magic != MAGIC || Sha256::digest(code)[..] != *hash {
        return None;
    }
    from_code(engine, code).ok()
}

#[expect(unsafe_code, reason = "machine code can only be trusted, not checked")]
fn from_code(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the code was made by `Engine::precompile_component`, just now or by a process of ours: its hash stands in
    // a file of a directory that only the service may write. The engine itself refuses code of other versions or
    // settings.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(unix)]
fn only_for_us(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn only_for_us(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a component, with nothing behind it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn engine() -> Engine {
        crate::engine::open(&crate::limits::Settings::default()).unwrap()
    }

    fn component() -> Vec<u8> {
        EMPTY.to_vec()
    }

    fn compiled(cache: &Cache) -> u64 {
        cache.compiled.load(Ordering::Relaxed)
    }

    #[test]
    fn a_component_is_compiled_once_and_then_read() {
        let directory = tempfile::tempdir().unwrap();
        let (engine, bytes) = (engine(), component());
        let cache = Cache::open(directory.path()).unwrap();
        cache.load(&engine, &bytes).unwrap();
        assert_eq!(compiled(&cache), 1);
        let again = Cache::open(directory.path()).unwrap();
        again.load(&engine, &bytes).unwrap();
        assert_eq!(compiled(&again), 0);
    }

    #[test]
    fn a_file_that_was_changed_anywhere_or_cut_is_compiled_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (engine, bytes) = (engine(), component());
        let cache = Cache::open(directory.path()).unwrap();
        cache.load(&engine, &bytes).unwrap();
        let path = cache.path(&engine, &bytes);
        let whole = fs::read(&path).unwrap();
        let mut count = 1;
        for place in [0, MAGIC.len(), HEAD_BYTES, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            for file in [changed, whole[..place].to_vec()] {
                fs::write(&path, file).unwrap();
                cache.load(&engine, &bytes).unwrap();
                count += 1;
                assert_eq!(compiled(&cache), count, "byte {place}");
                assert_eq!(fs::read(&path).unwrap().len(), whole.len());
            }
        }
    }

    #[test]
    fn what_is_whole_but_no_code_of_this_engine_is_refused_by_the_engine() {
        let code = b"not machine code at all";
        let file = [MAGIC.as_slice(), &Sha256::digest(code), code].concat();
        assert!(from_file(&engine(), &file).is_none());
    }
}
