//! The differential fuzzer: the same random acts on two servers, over several sessions, and the
//! first answer in which they differ, cut down to the few acts that show it.
//!
//! Answers, Stats, zxids (counted from the start of the run), names as sets, watch events with
//! their place between replies, and closed connections are compared after every act; the servers'
//! own counts and watch lists every now and then; the whole tree at the end.

mod act;
mod coverage;
mod generate;
mod profile;
mod render;
mod requests;
mod shrink;
mod view;

use std::time::{Duration, Instant};

use crate::{
    servers::{Product, Server},
    wire::Failure,
};

use self::{act::Act, generate::Generator, view::View};
pub use self::{
    coverage::{Coverage, Met},
    profile::Profile,
};

/// Acts between two looks at the words of the servers.
const WORDS_EVERY: usize = 200;
/// How long counts may take to become alike: a server hears of a closed connection in its time.
const SETTLE_WAIT: Duration = Duration::from_secs(5);

/// Most acts of a difference that are printed.
const ACTS_SHOWN_MAX: usize = 30;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers. What the first one answers is right.
    pub products: [Product; 2],
    /// Operations in all runs together.
    pub operations: u64,
    /// Operations of one run, on fresh servers.
    pub run_operations: u64,
    /// Seed of the first run; the next ones count up.
    pub seed: u64,
    /// The profile of every run; by the seed when there is none.
    pub profile: Option<&'static Profile>,
    /// How long a difference may be cut down.
    pub shrink: Duration,
    /// Ends after so many differences.
    pub differences_max: usize,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs in which every answer was the same.
    pub alike: u64,
    /// The other ones, as text for a person.
    pub differences: Vec<String>,
    /// What was met on the way.
    pub coverage: Coverage,
}

impl Summary {
    /// What was met, for the report of `scripts/conformance`: a line each, columns with tabs. Both
    /// servers said the same, or there is a difference. What was never met is a failure, unless
    /// the runs were too short to meet everything.
    #[must_use]
    pub fn table(&self, is_partial: bool) -> String {
        let mut table = "case\tapache\tringkeeper\tverdict\treason\n".to_owned();
        for Met { name, seen, is_met } in self.coverage.report() {
            let (verdict, reason) = match (is_met, is_partial) {
                (true, _) => ("passed", ""),
                (false, true) => ("skipped", "did not happen in a short run"),
                (false, false) => ("failed", "never happened"),
            };
            table.push_str(&format!("{name}\t{seen}\t{seen}\t{verdict}\t{reason}\n"));
        }
        for (number, text) in self.differences.iter().enumerate() {
            let text = text.replace(['\n', '\t'], " ");
            table.push_str(&format!("difference {}\t\t\tfailed\t{text}\n", number + 1));
        }
        table
    }
}

/// Runs until there were enough operations.
pub fn run(options: &Options, mut say: impl FnMut(&str)) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    let mut seed = options.seed;
    while summary.coverage.operations() < options.operations
        && summary.differences.len() < options.differences_max
    {
        let profile = options.profile.unwrap_or_else(|| Profile::of_seed(seed));
        let before = summary.coverage.operations();
        let left = options.operations - before;
        let started = Instant::now();
        let found = play_seed(options, profile, seed, left, &mut summary.coverage)?;
        let verdict = if found.is_some() { "differs" } else { "alike" };
        say(&format!(
            "seed {seed} ({}): {} operations in {:.1} s: {verdict}; {} of {}",
            profile.name,
            summary.coverage.operations() - before,
            started.elapsed().as_secs_f64(),
            summary.coverage.operations(),
            options.operations
        ));
        match found {
            None => summary.alike += 1,
            Some(difference) => {
                let text = explain(options, profile, seed, difference)?;
                say(&text);
                summary.differences.push(text);
            }
        }
        seed += 1;
    }
    Ok(summary)
}

/// A difference, and the acts that lead to it.
struct Difference {
    acts: Vec<Act>,
    said: [String; 2],
}

fn play_seed(
    options: &Options,
    profile: &'static Profile,
    seed: u64,
    operations_left: u64,
    coverage: &mut Coverage,
) -> Result<Option<Difference>, Failure> {
    let mut pair = Pair::start(&options.products, profile)?;
    let mut generator = Generator::new(seed, profile);
    let end = coverage.operations() + options.run_operations.min(operations_left);
    let mut acts = Vec::new();
    while coverage.operations() < end {
        let act = generator.act();
        acts.push(act.clone());
        let words = acts.len().is_multiple_of(WORDS_EVERY);
        match pair.act(&act, words) {
            Ok(lines) => coverage.add(&act, &lines),
            Err(said) => return Ok(Some(Difference { acts, said })),
        }
    }
    Ok(pair.audit().err().map(|said| Difference { acts, said }))
}

/// Cuts a difference down and puts it into words.
fn explain(
    options: &Options,
    profile: &'static Profile,
    seed: u64,
    found: Difference,
) -> Result<String, Failure> {
    let mut said = found.said;
    let count = found.acts.len();
    let shortest = shrink::shrink(found.acts, options.shrink, |acts| {
        let mut pair = Pair::start(&options.products, profile)?;
        for (index, act) in acts.iter().enumerate() {
            if let Err(lines) = pair.act(act, false) {
                said = lines;
                return Ok(Some(index));
            }
        }
        if let Err(lines) = pair.audit() {
            said = lines;
            return Ok(acts.len().checked_sub(1));
        }
        Ok(None)
    })?;
    let mut acts: Vec<String> = shortest
        .iter()
        .enumerate()
        .map(|(index, act)| format!("  {:>3}. {act:?}", index + 1))
        .collect();
    let hidden = acts.len().saturating_sub(ACTS_SHOWN_MAX);
    acts.drain(..hidden);
    let [left, right] = options.products.each_ref().map(Product::name);
    Ok(format!(
        "seed {seed}, profile {}: after {count} acts, of which {} show it (the last of them):\n\
         {}\n{left}:\n{}\n{right}:\n{}",
        profile.name,
        shortest.len(),
        acts.join("\n"),
        said[0],
        said[1]
    ))
}

/// Both servers. Dropping it stops them.
struct Pair {
    views: [View; 2],
    _servers: [Server; 2],
}

impl Pair {
    fn start(products: &[Product; 2], profile: &Profile) -> Result<Self, Failure> {
        // Both start at the same time: a JVM needs a second.
        let mut servers = [
            Server::in_scratch(&products[0], "differ-left", profile.settings())?,
            Server::in_scratch(&products[1], "differ-right", profile.settings())?,
        ];
        servers[0].spawn()?;
        servers[1].run()?;
        servers[0].wait_until_serving()?;
        let open = |server: &Server| View::open(server.address(), profile);
        let views = [open(&servers[0])?, open(&servers[1])?];
        Ok(Self { views, _servers: servers })
    }

    /// Does one act on both: what both said, or what each said where that differs.
    fn act(&mut self, act: &Act, with_words: bool) -> Result<Vec<String>, [String; 2]> {
        for view in &mut self.views {
            // What cannot be sent shows when the answer is read.
            view.send(act).ok();
        }
        let lines = self.compare(|view| view.receive(act))?;
        if with_words {
            self.settle()?;
        }
        Ok(lines)
    }

    /// Everything that is left to see at the end.
    fn audit(&mut self) -> Result<(), [String; 2]> {
        self.act(&Act::Look, true)?;
        self.compare(View::tree).map(drop)
    }

    /// The servers' own words, once they agree.
    fn settle(&mut self) -> Result<(), [String; 2]> {
        let deadline = Instant::now() + SETTLE_WAIT;
        loop {
            match self.compare(|view| view.words()) {
                Ok(_) => return Ok(()),
                Err(said) if deadline < Instant::now() => return Err(said),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn compare(
        &mut self,
        mut ask: impl FnMut(&mut View) -> Result<Vec<String>, Failure>,
    ) -> Result<Vec<String>, [String; 2]> {
        let [left, right] = &mut self.views;
        let (left, right) = (said(ask(left)), said(ask(right)));
        if left == right { Ok(left) } else { Err(only_different(&left, &right)) }
    }
}

/// A broken comparison is an answer, too.
fn said(outcome: Result<Vec<String>, Failure>) -> Vec<String> {
    outcome.unwrap_or_else(|cause| vec![format!("failed: {cause}")])
}

/// The lines from the first different one on, with the one before it, at most a screen.
fn only_different(left: &[String], right: &[String]) -> [String; 2] {
    let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let from = same.saturating_sub(1);
    [left, right].map(|lines| {
        let shown = lines.iter().skip(from).take(12).map(|line| format!("    {line}"));
        shown.collect::<Vec<_>>().join("\n")
    })
}
