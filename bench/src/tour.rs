//! A small test runner for cases that share one real server: cases run one after the other, a panic
//! or an error fails its case only, and the server is stopped at the end. `cargo test` calls it
//! like any other test binary.
//!
//! `BENCH_SERVER` chooses the server: `ringkeeper` (default), `apache`, or a path to a binary.

use std::{
    io::Write as _,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    servers::{Product, Server, Settings, four_letter, scratch},
    wire::{Connection, Failure},
};

/// `super` with the password `test`, as many client suites set it.
pub const SUPER_DIGEST: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

/// One case of a tour.
pub struct Case {
    /// What it shows, as a statement in snake case.
    pub name: &'static str,
    /// Its story.
    pub run: fn(&Tour) -> Result<(), Failure>,
}

/// Lists functions as cases, each under its own name.
#[macro_export]
macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$($crate::tour::Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: $module::$name,
        }),*]
    };
}

/// What a case may use.
pub struct Tour {
    product: Product,
    shared: Server,
}

impl Tour {
    /// The server that all cases share, with [`shared_settings`].
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address()
    }

    /// A connection with a new session on the shared server.
    pub fn session(&self) -> Result<Connection, Failure> {
        Connection::new_session(self.address())
    }

    /// A server of the case's own.
    pub fn private(&self, settings: Settings) -> Result<Server, Failure> {
        Server::start(&self.product, "tour-private", settings)
    }

    /// As [`Tour::private`], for a server that turns away the probe that waits for its start.
    pub fn private_unprobed(&self, settings: Settings) -> Result<Server, Failure> {
        let mut server = Server::prepare(&self.product, &scratch("tour-unprobed")?, settings)?;
        server.spawn()?;
        eventually(Duration::from_secs(60), "the server answers srvr", || {
            let text = four_letter(server.address(), "srvr").unwrap_or_default();
            Ok(text.contains("Mode: "))
        })?;
        Ok(server)
    }

    /// For a case that Apache must not be asked: it would not survive it, or answers it as its
    /// threads happen to meet. It does not run there, and does not count as passed.
    pub fn only_here(&self, why: &'static str) -> Result<(), Failure> {
        if self.is_ringkeeper() { Ok(()) } else { Err(NotHere(why).into()) }
    }

    /// Whether the server under test is the one that this repository builds. For the few answers
    /// that were decided otherwise than Apache's: each has a line in `docs/compatibility.md`.
    #[must_use]
    pub fn is_ringkeeper(&self) -> bool {
        self.product.name() == "ringkeeper"
    }
}

/// Why a case does not run against this server.
#[derive(Debug)]
struct NotHere(&'static str);

impl std::fmt::Display for NotHere {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "not run here: {}", self.0)
    }
}

impl std::error::Error for NotHere {}

/// Every feature on, short ticks, any number of connections.
#[must_use]
pub fn shared_settings() -> Settings {
    Settings::new()
        .line("tickTime", "500")
        .line("maxClientCnxns", "0")
        .line("maxSessionTimeout", "20000")
        .line("extendedTypesEnabled", "true")
        .line("4lw.commands.whitelist", "*")
        .line("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
        .define("znode.container.checkIntervalMs", "200")
}

/// Asks again until `question` says yes; fails after `wait`. For what a server does in its time.
pub fn eventually(
    wait: Duration,
    what: &str,
    mut question: impl FnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let deadline = Instant::now() + wait;
    while !question()? {
        if deadline < Instant::now() {
            return Err(format!("{what}: not within {wait:?}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Runs the cases whose names contain one of the words on the command line.
#[must_use]
pub fn main(cases: &[Case]) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let list = words.iter().any(|word| word == "--list");
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = cases.iter().filter(|case| {
        filters.is_empty() || filters.iter().any(|filter| case.name.contains(filter.as_str()))
    });
    if list {
        chosen.for_each(|case| say(&format!("{}: test", case.name)));
        return ExitCode::SUCCESS;
    }
    let tour = Product::from_environment().and_then(|product| {
        let shared = Server::start(&product, "tour", shared_settings())?;
        Ok(Tour { product, shared })
    });
    match tour {
        Ok(tour) => run(&tour, chosen),
        Err(cause) => {
            say(&format!("no server to run against: {cause}"));
            ExitCode::FAILURE
        }
    }
}

fn run<'a>(tour: &Tour, cases: impl Iterator<Item = &'a Case>) -> ExitCode {
    say(&format!("\nagainst {}", tour.product.name()));
    let (mut passed, mut ignored, mut failures) = (0, 0, Vec::new());
    for case in cases {
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (case.run)(tour)));
        let took = started.elapsed().as_millis();
        let cause = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(cause)) if cause.is::<NotHere>() => {
                say(&format!("test {} ... ignored ({took} ms): {cause}", case.name));
                ignored += 1;
                continue;
            }
            Ok(Err(cause)) => Some(cause.to_string()),
            Err(_) => Some("panicked, see above".into()),
        };
        if let Some(cause) = cause {
            say(&format!("test {} ... FAILED ({took} ms): {cause}", case.name));
            failures.push(case.name);
        } else {
            say(&format!("test {} ... ok ({took} ms)", case.name));
            passed += 1;
        }
    }
    let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
    say(&format!(
        "\ntest result: {verdict}. {passed} passed; {} failed; {ignored} ignored; 0 measured; \
         0 filtered out\n",
        failures.len()
    ));
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    say(&format!("failed: {}\nthe server said:\n{}", failures.join(" "), tail(tour)));
    ExitCode::FAILURE
}

fn tail(tour: &Tour) -> String {
    let trace = tour.shared.trace();
    let lines: Vec<&str> = trace.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}

fn say(line: &str) {
    // A closed standard output is no reason to fail a test.
    writeln!(std::io::stdout(), "{line}").ok();
}
