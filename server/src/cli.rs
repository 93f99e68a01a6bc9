//! The command line: what `ringkeeper` can be asked, with help that is worth reading.

use std::{env, path::PathBuf};

use clap::{Args, Parser, Subcommand, builder::PossibleValue};

use crate::{
    config::{Flags, Sources, TraceFormat},
    exit_code,
};

/// What was asked.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub(crate) enum Command {
    /// Runs a server.
    #[command(after_long_help = serve_help())]
    Serve(ServeArgs),
    /// Shows what is in a data directory, and whether it is whole. Changes nothing.
    #[command(after_long_help = INSPECT_HELP)]
    Inspect(InspectArgs),
    /// Gives up what a damaged log holds from a slot on, so that a server can start again.
    #[command(after_long_help = REPAIR_HELP)]
    Repair(RepairArgs),
    /// Lists every configuration key of ZooKeeper and what this server makes of it.
    ConfigKeys,
}

/// A coordination server that ZooKeeper clients use without a change.
#[derive(Debug, Parser)]
#[command(name = "ringkeeper", version, subcommand_required = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// `ringkeeper serve`.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServeArgs {
    /// A ZooKeeper configuration file; or `PORT DATADIR [TICKTIME [MAXCLIENTCNXNS]]`
    #[arg(value_name = "ZOO_CFG", num_args = 0..=4)]
    arguments: Vec<String>,
    /// A property, as in SERVER_JVMFLAGS: `zookeeper.<key>`, jute.maxbuffer, .. The file wins
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = define)]
    defines: Vec<(String, String)>,
    /// Where the data is, instead of dataDir; the log too, without --data-log-dir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the log is, instead of dataLogDir
    #[arg(long, value_name = "DIR")]
    data_log_dir: Option<PathBuf>,
    /// Where clients connect, instead of clientPort; may be given more than once. Port 0 asks the
    /// system for one
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    listen: Vec<String>,
    /// How many cores to use: all but one hold the whole tree and serve clients, one writes the
    /// log. Without it, all that the process may use, at most 8, since each costs memory per znode
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=256))]
    cores: Option<u16>,
    /// Which CPUs to use, one per core, such as 2,3,6-8; the last one writes the log
    #[arg(long, value_name = "LIST", value_parser = cpu_list, conflicts_with = "cores")]
    cpus: Option<CpuList>,
    /// Length of a log segment. Four are kept: this times four is the log's least space on disk
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=4096))]
    segment_mib: Option<u64>,
    /// How traces are printed to standard error. RUST_LOG chooses which: error, warn, info, debug
    #[arg(long, value_enum, default_value_t = TraceFormat::Text, value_name = "FORMAT")]
    log_format: TraceFormat,
    /// Accept a data directory in memory, which a reboot empties
    #[arg(long)]
    allow_tmpfs: bool,
    /// Read the configuration, say what would hold, and end
    #[arg(long)]
    pub(crate) check: bool,
}

/// `ringkeeper inspect`.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub(crate) struct InspectArgs {
    /// The data directory
    pub(crate) dir: PathBuf,
    /// Where the log is, if it is somewhere else
    #[arg(long, value_name = "DIR")]
    pub(crate) data_log_dir: Option<PathBuf>,
    /// List every record of the log
    #[arg(long)]
    pub(crate) records: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ringkeeper repair`.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub(crate) struct RepairArgs {
    /// The data directory
    pub(crate) dir: PathBuf,
    /// Where the log is, if it is somewhere else
    #[arg(long, value_name = "DIR")]
    pub(crate) data_log_dir: Option<PathBuf>,
    /// The first slot that is given up, as the report of the damage names it
    #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) truncate_at: u64,
    /// Cut a log that is whole, too
    #[arg(long)]
    pub(crate) force: bool,
}

/// CPUs in the order they were named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CpuList(Vec<usize>);

impl ServeArgs {
    /// What the configuration is made from; also asks the environment.
    pub(crate) fn into_sources(self) -> Sources {
        // The start scripts of ZooKeeper set it to anything, and "no" is not among what they mean.
        let disable = env::var_os("ZOO_DATADIR_AUTOCREATE_DISABLE");
        Sources {
            arguments: self.arguments,
            defines: self.defines,
            flags: Flags {
                data_dir: self.data_dir,
                data_log_dir: self.data_log_dir,
                listen: self.listen,
                cores: self.cores.map(usize::from),
                cpus: self.cpus.map(|cpus| cpus.0),
                segment_mib: self.segment_mib,
                trace_format: self.log_format,
                allow_tmpfs: self.allow_tmpfs,
            },
            is_autocreate_disabled: disable.is_some_and(|value| !value.is_empty()),
        }
    }

    /// How traces are printed, which must be known before anything else.
    pub(crate) fn trace_format(&self) -> TraceFormat {
        self.log_format
    }
}

impl clap::ValueEnum for TraceFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Text => PossibleValue::new("text").help("one line per event, for people"),
            Self::Json => PossibleValue::new("json").help("one JSON object per line"),
        })
    }
}

/// The command line of this process; ends it for `--help`, `--version` and mistakes.
pub(crate) fn parse() -> Command {
    CommandLine::parse().command
}

/// `key=value`; a key alone has an empty value, as in Java.
fn define(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("a property has a name");
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// `2,3,6-8`.
fn cpu_list(text: &str) -> Result<CpuList, &'static str> {
    const FORM: &str = "must be CPU numbers such as 2,3,6-8, none of them twice";
    const CPU_MAX: usize = 4095;
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let parse = |text: &str| text.trim().parse().ok().filter(|cpu| *cpu <= CPU_MAX).ok_or(FORM);
        let (first, last): (usize, usize) = (parse(first)?, parse(last)?);
        if last < first {
            return Err(FORM);
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return Err(FORM);
            }
            cpus.push(cpu);
        }
    }
    Ok(CpuList(cpus))
}

fn serve_help() -> String {
    format!(
        "\
Examples:
  ringkeeper serve
      data below ./data, clients at 127.0.0.1:2181
  ringkeeper serve /etc/zookeeper/zoo.cfg
      as a ZooKeeper server would run with that file
  ringkeeper serve -Dzookeeper.4lw.commands.whitelist=* -Djute.maxbuffer=4194304 zoo.cfg
      with properties, as in SERVER_JVMFLAGS
  ringkeeper serve --data-dir /var/lib/ringkeeper --listen 127.0.0.1:0 --cores 2
      without a file; the trace says which port the system chose
  ringkeeper serve --check zoo.cfg
      says what would hold, and which keys are not honoured

What wins: flags, then the file, then -D properties, then the defaults. `ringkeeper config-keys`
lists all keys; docs/operations.md explains those that are honoured.

SIGTERM and SIGINT end the server within a second; its clients' sessions live on for their
time-outs and go on when it is started again.

Exit codes:
{}",
        exit_code::help()
    )
}

const INSPECT_HELP: &str = "\
Works on damaged directories, on copies, and beside a running server, which it does not disturb: it
takes no lock and only reads. The last line says whether the directory is whole.

Exit codes:
   0  whole
   3  not a data directory, or one that this version cannot read
   5  damaged";

const REPAIR_HELP: &str = "\
For a directory that `ringkeeper serve` refuses to start on, because records that clients may have
got an answer for are damaged, and there is no other copy. Everything from the slot on is given up:
writes that were acknowledged are lost. `ringkeeper inspect` names the slot that keeps all that can
be kept. What is taken out or changed is kept in a folder `damaged-<time>` in the same directory.

Not for a member of a cluster: start that one with an empty directory.

Exit codes:
   0  done: a start recovers everything before the slot
   3  not a data directory, or one that this version cannot read
   4  a server uses it
   5  nothing was changed: not everything before the slot can be kept, or nothing is wrong";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use expect_test::expect;

    use super::*;

    fn serve(arguments: &[&str]) -> Result<Sources, clap::error::ErrorKind> {
        let arguments = ["ringkeeper", "serve"].iter().chain(arguments);
        match CommandLine::try_parse_from(arguments) {
            Ok(CommandLine { command: Command::Serve(arguments) }) => Ok(arguments.into_sources()),
            Ok(other) => panic!("not serve: {other:?}"),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn clap_finds_nothing_wrong() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn properties_stand_as_in_java() {
        let sources =
            serve(&["-Dzookeeper.snapCount=5", "-Dreadonlymode.enabled=true", "-Dx", "a.cfg"]);
        let sources = sources.expect("valid");
        let defines: Vec<(&str, &str)> =
            sources.defines.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(
            defines,
            [("zookeeper.snapCount", "5"), ("readonlymode.enabled", "true"), ("x", "")],
        );
        assert_eq!(sources.arguments, ["a.cfg"]);
    }

    #[test]
    fn flags_are_taken() {
        let sources = serve(&[
            "--data-dir",
            "/d",
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "[::1]:0",
            "--cpus",
            "2,4-5",
            "--segment-mib",
            "8",
            "--log-format",
            "json",
            "2181",
            "/data",
        ]);
        expect![[r#"
            Sources {
                arguments: [
                    "2181",
                    "/data",
                ],
                defines: [],
                flags: Flags {
                    data_dir: Some(
                        "/d",
                    ),
                    data_log_dir: None,
                    listen: [
                        "127.0.0.1:0",
                        "[::1]:0",
                    ],
                    cores: None,
                    cpus: Some(
                        [
                            2,
                            4,
                            5,
                        ],
                    ),
                    segment_mib: Some(
                        8,
                    ),
                    trace_format: Json,
                    allow_tmpfs: false,
                },
                is_autocreate_disabled: false,
            }
        "#]]
        .assert_debug_eq(&sources.expect("valid"));
    }

    #[test]
    fn mistakes_are_refused() {
        for wrong in [
            ["--cores", "0"],
            ["--cores", "many"],
            ["--cpus", "3-2"],
            ["--cpus", "1,1"],
            ["--cpus", ""],
            ["--segment-mib", "0"],
            ["--log-format", "xml"],
            ["-D", "=x"],
        ] {
            assert!(serve(&wrong).is_err(), "{wrong:?}");
        }
        assert!(serve(&["--cores", "1", "--cpus", "1"]).is_err());
        assert!(serve(&["1", "2", "3", "4", "5"]).is_err());
    }
}
