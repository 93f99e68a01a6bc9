//! The same random requests to two servers, and the first answer in which they differ.

mod requests;
mod view;

use crate::{
    rng::Rng,
    servers::{Product, Server, Settings},
    tour::SUPER_DIGEST,
    wire::Failure,
};

use self::view::View;

/// Acts between two looks at the events of all clients.
const EVENTS_EVERY: usize = 7;

/// One run: fresh servers, `acts` acts. `Ok(None)` when every answer was the same.
pub fn run(products: [&Product; 2], acts: usize, seed: u64) -> Result<Option<String>, Failure> {
    let settings = || {
        Settings::new()
            .line("extendedTypesEnabled", "true")
            .line("DigestAuthenticationProvider.superDigest", SUPER_DIGEST)
            .line("maxClientCnxns", "0")
            // Nothing goes by itself while we look.
            .define("znode.container.checkIntervalMs", "3600000")
    };
    let left_server = Server::start(products[0], "differ-left", settings())?;
    let right_server = Server::start(products[1], "differ-right", settings())?;
    let mut left = View::open(left_server.address())?;
    let mut right = View::open(right_server.address())?;
    let mut rng = Rng::new(seed);
    let mut history = Vec::new();
    for number in 0..acts {
        let act = requests::choose(&mut rng);
        let client = act.client();
        history.push(format!("{number}: client {client}: {act:?}"));
        let mut seen = [said(left.act(&act)), said(right.act(&act))];
        if number % EVENTS_EVERY == 0 && seen[0] == seen[1] {
            history.push("events".into());
            seen = [said(left.events()), said(right.events())];
        }
        let [left_said, right_said] = &seen;
        if left_said != right_said {
            let tail = history[history.len().saturating_sub(12)..].join("\n");
            return Ok(Some(format!(
                "seed {seed}, act {number}: after\n{tail}\n{}: {left_said}\n{}: {right_said}",
                products[0].name(),
                products[1].name()
            )));
        }
        history.push(format!("    {}", seen[0]));
    }
    Ok(None)
}

/// Answers on lines; a broken connection is an answer, too.
fn said(outcome: Result<Vec<String>, Failure>) -> String {
    outcome.map_or_else(|cause| format!("failed: {cause}"), |lines| lines.join("\n    "))
}
