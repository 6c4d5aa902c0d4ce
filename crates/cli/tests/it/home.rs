//! A service in a directory of its own, and calls of `sheaf` there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use testkit::service::{Options, Service, Store};

/// The program under test, built with this test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sheaf");

/// A directory with a service; both end with it.
pub(crate) struct Home {
    directory: TempDir,
    service: Service,
}

impl Home {
    /// Starts a service on an empty store.
    pub(crate) fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory"), Vec::new())
    }

    /// The same with this configuration and these limits, none where there is no text.
    #[cfg(feature = "plugins")]
    pub(crate) fn start_with(config: &str, limits: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut arguments = Vec::new();
        for (flag, text) in [("--config", config), ("--limits", limits)] {
            if !text.is_empty() {
                let file = directory.path().join(format!("{}.toml", &flag[2..]));
                std::fs::write(&file, text).expect("written");
                arguments.extend([flag.to_owned(), file.display().to_string()]);
            }
        }
        Self::start_in(directory, arguments)
    }

    /// The same after `prepare` has worked on the store; without a token nobody is let in.
    #[cfg(unix)]
    pub(crate) fn start_guarded(prepare: impl FnOnce(&Path)) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        prepare(&directory.path().join("data"));
        Self::start_in(directory, vec!["--auth".to_owned(), "on".to_owned()])
    }

    fn start_in(directory: TempDir, arguments: Vec<String>) -> Self {
        let options = Options {
            binary: PathBuf::from(BINARY),
            store: Store::Data(directory.path().join("data")),
            arguments,
            log: directory.path().join("log"),
        };
        let service = Service::start(options).expect("it starts");
        Self { directory, service }
    }

    /// The Web API of the service.
    pub(crate) fn api(&self) -> testkit::http::Api {
        testkit::http::Api::new(&self.service.api()).expect("a client")
    }

    /// The process of the service.
    #[cfg(all(feature = "plugins", target_os = "linux"))]
    pub(crate) fn process(&self) -> u32 {
        self.service.id()
    }

    /// Sends a request of its own, which must go well; answers the body.
    pub(crate) fn post(&self, path: &str, body: impl Into<String>) -> serde_json::Value {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = runtime.block_on(self.api().post(path, body.into())).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!((200..300).contains(&answer.status), "{path}: {} {text}", answer.status);
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The address of the service.
    pub(crate) fn url(&self) -> &str {
        self.service.url()
    }

    /// A file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A call, not started yet. Blanks part the words; `^` stands for one inside of a word.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(line.split_whitespace().map(|word| word.replace('^', " ")))
            .env("SHEAF_URL", self.service.url())
            .env_remove("SHEAF_RUNS")
            .env_remove("SHEAF_PROFILE")
            .env("SHEAF_CONFIG", self.directory.path().join("config"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    /// Makes a call that must end with this code; answers what it said.
    pub(crate) fn call(&self, want: i32, line: &str) -> String {
        self.call_with(want, line, Path::new("/dev/null"))
    }

    /// The same with a file as standard input.
    pub(crate) fn call_with(&self, want: i32, line: &str, input: &Path) -> String {
        let input = std::fs::File::open(input).expect("the input is there");
        let output = self.command(line).stdin(input).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(want), "sheaf {line}: {said}");
        said
    }
}

/// The first line of what was said.
pub(crate) fn said(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
