//! A PostgreSQL cluster of our own for the length of a test run.
//!
//! [`Cluster::start`] uses the server named by `SHEAF_TEST_POSTGRES` if that is set, and otherwise makes a
//! fresh cluster in a temporary directory and starts it on a free loopback port, with a Unix socket beside
//! its data. PostgreSQL refuses to run as root, so for root it runs as `postgres`, or else as `nobody`.
//! Not here: installing PostgreSQL (`cargo xtask`), SQL of any kind but `CREATE` and `DROP DATABASE`.
//! Invariant: a server that was started stops, and its directory goes, when the owning process ends in
//! whatever way: a small supervising shell waits for the end of a pipe that only the owner holds open.
//! (Killed before the start, during `initdb`, the owner leaves a directory behind, and no process.)

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

/// Names a running server: `postgres://user@host:port`. Its databases are made and dropped as needed.
pub const SERVER_VARIABLE: &str = "SHEAF_TEST_POSTGRES";

/// The oldest PostgreSQL that Sheaf runs on.
pub const VERSION_MIN: u32 = 13;

/// A start may take a port that another process grabs first; then it is tried again this many times.
const START_ATTEMPTS_MAX: u32 = 5;
/// Until the last child of a killed server is gone, a new one refuses to start.
const RESTART_ATTEMPTS_MAX: u32 = 40;
const READY_POLL: Duration = Duration::from_millis(25);
/// 60 seconds: recovery after a crash of the server on a slow disk.
const READY_POLLS_MAX: u32 = 2400;

/// How much a cluster promises to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fsync=off`: for tests of behaviour. Survives the death of processes, not of the machine.
    Process,
    /// PostgreSQL's own defaults: for everything that is measured.
    Disk,
}

/// A running PostgreSQL server. Stops when dropped, if it was started here.
#[derive(Debug)]
pub struct Cluster {
    /// `postgres://user@host:port`, without a database.
    server_url: String,
    bin: PathBuf,
    own: Option<Own>,
    created: Mutex<Vec<String>>,
}

/// What there is only for a server that was started here.
#[derive(Debug)]
struct Own {
    supervisor: Child,
    directory: PathBuf,
    user: Option<User>,
    port: u16,
    durability: Durability,
}

/// Whom the server runs as when we are root.
#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// The server of `SHEAF_TEST_POSTGRES`, or a fresh one for tests of behaviour ([`Durability::Process`]).
    pub fn start() -> Result<Cluster> {
        match std::env::var(SERVER_VARIABLE) {
            Ok(url) if !url.is_empty() => Cluster::existing(&url),
            _ => Cluster::start_own(Durability::Process),
        }
    }

    /// One cluster for all tests of this process; it ends with the process.
    pub fn shared() -> Result<&'static Cluster> {
        static SHARED: OnceLock<std::result::Result<Cluster, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Cluster::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|text| anyhow!("{text}"))
    }

    /// A server that somebody else started. Databases made here are dropped when the value is.
    pub fn existing(url: &str) -> Result<Cluster> {
        Ok(Cluster {
            server_url: without_database(url)?,
            bin: find_binaries()?,
            own: None,
            created: Mutex::new(Vec::new()),
        })
    }

    /// A fresh server in a temporary directory, whatever the environment says.
    pub fn start_own(durability: Durability) -> Result<Cluster> {
        let bin = find_binaries()?;
        let user = unprivileged_user()?;
        let directory = make_directory(user)?;
        if let Err(error) = init(&bin, &directory, user) {
            let _gone = fs::remove_dir_all(&directory);
            return Err(error);
        }
        let mut last = anyhow!("no attempt was made");
        for _ in 0..START_ATTEMPTS_MAX {
            let port = free_port()?;
            match launch(&bin, &directory, user, port, durability) {
                Ok(supervisor) => {
                    let own = Own { supervisor, directory, user, port, durability };
                    return Ok(Cluster {
                        server_url: format!("postgres://postgres@127.0.0.1:{port}"),
                        bin,
                        own: Some(own),
                        created: Mutex::new(Vec::new()),
                    });
                }
                Err(error) => last = error,
            }
        }
        let _gone = fs::remove_dir_all(&directory);
        Err(last.context("PostgreSQL did not start"))
    }

    /// `postgres://user@host:port`, without a database.
    #[must_use]
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    /// The directory of PostgreSQL's programs (`psql`, `pg_dump`, …).
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The URL of one database of this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let (server, parameters) =
            self.server_url.split_once('?').unwrap_or((&self.server_url, ""));
        let mark = if parameters.is_empty() { "" } else { "?" };
        format!("{server}/{database}{mark}{parameters}")
    }

    /// What the server writes down; only of a server that was started here.
    #[must_use]
    pub fn log(&self) -> Option<PathBuf> {
        self.own.as_ref().map(|own| own.directory.join("server.log"))
    }

    /// Makes an empty database that nobody else uses and returns its URL. `name` begins its name; lower-case
    /// letters, digits and `_` only.
    pub fn create_database(&self, name: &str) -> Result<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        ensure!(
            !name.is_empty()
                && name.len() <= 30
                && name.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
                }),
            "`{name}` cannot begin a database's name"
        );
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let database = format!("{name}_{}_{count}", std::process::id());
        // A database of the same name can only be left over from a dead process with our id.
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {database}"))?;
        self.sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0"))?;
        self.created.lock().map_err(|_| anyhow!("a test panicked"))?.push(database.clone());
        Ok(self.url(&database))
    }

    /// Runs SQL in a database through `psql` and returns what it prints: rows in lines, columns by tabs.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"])
            .args(["--set=ON_ERROR_STOP=1", "--command", statement, "--dbname"])
            .arg(self.url(database))
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::null())
            .output()
            .context("could not run psql")?;
        ensure!(
            output.status.success(),
            "`{statement}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?.trim_end_matches('\n').to_owned())
    }

    /// Kills every process of the server at once, as a crash of it would, and starts it again on the same
    /// data and port. Only for a server that was started here.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        let own = self.own.as_mut().context("only a server started here can be crashed")?;
        let pid_file = own.directory.join("data/postmaster.pid");
        let (pid, _) = pid_and_readiness(&pid_file).context("postmaster.pid is empty")?;
        // The children of a killed postmaster notice and leave by themselves.
        let killed = Command::new("kill").args(["-KILL", &pid]).status()?;
        ensure!(killed.success(), "could not kill PostgreSQL's process {pid}");
        // `wait` would close the pipe first, and then the directory goes.
        let pipe = own.supervisor.stdin.take();
        own.supervisor.wait()?;
        drop(pipe);
        let mut last = anyhow!("no attempt was made");
        for _ in 0..RESTART_ATTEMPTS_MAX {
            match launch(&self.bin, &own.directory, own.user, own.port, own.durability) {
                Ok(supervisor) => {
                    own.supervisor = supervisor;
                    return Ok(());
                }
                Err(error) => last = error,
            }
            sleep(READY_POLL * 10);
        }
        Err(last.context("PostgreSQL did not start again"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            own.supervisor.stdin.take();
            let _stopped = own.supervisor.wait();
            let _gone = fs::remove_dir_all(&own.directory);
        } else if let Ok(created) = self.created.lock() {
            for database in created.iter() {
                let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
                let _dropped = self.sql("postgres", &drop);
            }
        }
    }
}

/// The directory with `initdb` and `postgres` of the newest installed version that is new enough.
pub fn find_binaries() -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    let mut candidates: Vec<PathBuf> = Vec::new();
    for root in ["/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let Ok(entries) = fs::read_dir(root) else { continue };
        candidates.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    candidates.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    for bin in candidates {
        if ["initdb", "postgres", "psql"].iter().all(|name| bin.join(name).is_file())
            && let Some(version) = version_of(&bin)
        {
            found.push((version, bin));
        }
    }
    found.sort();
    match found.pop() {
        Some((version, bin)) if version >= VERSION_MIN => Ok(bin),
        Some((version, bin)) => {
            bail!("PostgreSQL {version} in {} is older than {VERSION_MIN}", bin.display())
        }
        None => bail!(
            "PostgreSQL is not installed: looked in /usr/lib/postgresql/*/bin and in PATH \
             (`cargo xtask pg` installs it where `apt-get` is there)"
        ),
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn version_of(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split(") ").nth(1)?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// `None` when we may run PostgreSQL as ourselves.
fn unprivileged_user() -> Result<Option<User>> {
    // The owner of our own entry in /proc is who we are; without /proc, `id` knows.
    let own_uid = match fs::metadata("/proc/self") {
        Ok(metadata) => metadata.uid(),
        Err(_) => id_of("-u", None)?,
    };
    if own_uid != 0 {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Ok(uid), Ok(gid)) = (id_of("-u", Some(name)), id_of("-g", Some(name))) {
            return Ok(Some(User { uid, gid }));
        }
    }
    bail!("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
}

fn id_of(flag: &str, name: Option<&str>) -> Result<u32> {
    let output = Command::new("id").arg(flag).args(name).output().context("could not run `id`")?;
    ensure!(output.status.success(), "no such user");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn make_directory(user: Option<User>) -> Result<PathBuf> {
    // Short: a Unix socket's path holds about 100 bytes.
    let directory = tempfile::Builder::new().prefix("sheaf-pg-").tempdir()?.keep();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
    if let Some(user) = user {
        chown(&directory, Some(user.uid), Some(user.gid))?;
    }
    Ok(directory)
}

fn init(bin: &Path, directory: &Path, user: Option<User>) -> Result<()> {
    let output = command_as(user, bin.join("initdb"))
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--no-sync", "--pgdata"])
        .arg(directory.join("data"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .context("could not run initdb")?;
    ensure!(
        output.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Runs the server. When the pipe on its standard input ends, so does the server, and its directory goes;
/// when the server ends by itself, the directory stays.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null >>server.log 2>&1 3<&- &
server=$!
( read -r _ <&3; : >stopped; kill -QUIT $server ) &
watcher=$!
wait $server
status=$?
if [ -e stopped ]; then
    directory=$PWD
    cd /
    rm -rf -- "$directory"
fi
kill $watcher 2>/dev/null
exit $status
"#;

fn launch(
    bin: &Path,
    directory: &Path,
    user: Option<User>,
    port: u16,
    durability: Durability,
) -> Result<Child> {
    let pid_file = directory.join("data/postmaster.pid");
    // Left by a server that was killed. The new one needs it, to see that the old one's children are gone.
    let stale_pid = pid_and_readiness(&pid_file).map(|(pid, _)| pid);
    let mut command = command_as(user, PathBuf::from("/bin/sh"));
    command.args(["-c", SUPERVISOR, "sheaf-postgres"]).arg(bin.join("postgres"));
    command.arg("-D").arg(directory.join("data")).args(["-p", &port.to_string()]);
    let fsync = if durability == Durability::Process { "off" } else { "on" };
    for setting in [
        &format!("unix_socket_directories={}", directory.display()),
        "listen_addresses=127.0.0.1",
        "max_connections=300",
        "shared_buffers=256MB",
        "max_wal_size=4GB",
        &format!("fsync={fsync}"),
    ] {
        command.args(["-c", setting]);
    }
    let mut supervisor = command
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("could not start PostgreSQL")?;
    for _ in 0..READY_POLLS_MAX {
        if supervisor.try_wait()?.is_some() {
            break;
        }
        if let Some((pid, true)) = pid_and_readiness(&pid_file)
            && stale_pid.as_ref() != Some(&pid)
        {
            return Ok(supervisor);
        }
        sleep(READY_POLL);
    }
    let log = fs::read_to_string(directory.join("server.log")).unwrap_or_default();
    supervisor.stdin.take();
    let _stopped = supervisor.wait();
    bail!("PostgreSQL does not answer on port {port}; its log ends with: {}", tail(&log))
}

/// The server's own note about itself: its process id in line 1, its state in line 8.
fn pid_and_readiness(pid_file: &Path) -> Option<(String, bool)> {
    let text = fs::read_to_string(pid_file).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.to_owned();
    Some((pid, lines.nth(6).is_some_and(|state| state.trim() == "ready")))
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join(" | ")
}

/// A command as the given user: through `setpriv`, which every Linux with util-linux has.
fn command_as(user: Option<User>, program: PathBuf) -> Command {
    match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={}", user.uid))
                .arg(format!("--regid={}", user.gid))
                .arg("--clear-groups")
                .arg("--")
                .arg(program);
            command
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// `postgres://user@host:port/db?x=y` → `postgres://user@host:port?x=y`.
fn without_database(url: &str) -> Result<String> {
    let (scheme, rest) = url.split_once("://").with_context(|| format!("`{url}` is no URL"))?;
    ensure!(matches!(scheme, "postgres" | "postgresql"), "`{url}` is not a PostgreSQL URL");
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = path.split_once('/').map_or(path, |(authority, _)| authority);
    let mark = if parameters.is_empty() { "" } else { "?" };
    Ok(format!("{scheme}://{authority}{mark}{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_url_loses_its_database_and_keeps_its_parameters() {
        let check = |url: &str, want: &str| assert_eq!(without_database(url).unwrap(), want);
        check("postgres://a@h:1/db", "postgres://a@h:1");
        check("postgres://a@h:1", "postgres://a@h:1");
        check("postgresql://a:b@h/db?sslmode=disable", "postgresql://a:b@h?sslmode=disable");
        assert!(without_database("http://h").is_err());
    }

    #[test]
    fn a_cluster_serves_fresh_databases_survives_a_crash_and_leaves_nothing_behind() {
        let mut cluster = Cluster::start_own(Durability::Process).unwrap();
        let first = cluster.create_database("one").unwrap();
        let second = cluster.create_database("one").unwrap();
        assert_ne!(first, second);
        let name = first.rsplit('/').next().unwrap().to_owned();
        cluster.sql(&name, "CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2)").unwrap();
        cluster.crash_and_restart().unwrap();
        assert_eq!(cluster.sql(&name, "SELECT x, x + 1 FROM t ORDER BY x").unwrap(), "1\t2\n2\t3");
        assert!(cluster.sql(&name, "SELECT * FROM absent").is_err());
        let directory = cluster.own.as_ref().unwrap().directory.clone();
        drop(cluster);
        assert!(!directory.exists());
    }
}
