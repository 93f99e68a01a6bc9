//! Bars as SVG: one group per measurement, one bar per server, each group on its own scale.

use std::fmt::Write as _;

use super::{Outcome, approximate};

const WIDTH: f64 = 720.0;
const BAR_MAX: f64 = 340.0;
const BAR_HEIGHT: f64 = 16.0;
const COLORS: [&str; 3] = ["#b8b8b8", "#2f6fbf", "#6fbf2f"];

struct Group {
    title: String,
    /// Server, value, the value as text.
    bars: Vec<(String, f64, String)>,
}

/// The whole picture.
pub(super) fn bars(outcome: &Outcome) -> String {
    let groups = groups(outcome);
    let mut body = String::new();
    let mut y = 10.0;
    for group in &groups {
        y += 22.0;
        writeln!(body, r#"<text x="10" y="{y}" font-weight="bold">{}</text>"#, group.title)
            .expect("a String takes all");
        let most = group.bars.iter().map(|(_, value, _)| *value).fold(f64::MIN_POSITIVE, f64::max);
        for (index, (server, value, shown)) in group.bars.iter().enumerate() {
            y += BAR_HEIGHT + 4.0;
            let (width, top) = (value / most * BAR_MAX, y - BAR_HEIGHT + 3.0);
            let color = COLORS[index % COLORS.len()];
            writeln!(
                body,
                r#"<text x="20" y="{y}">{server}</text>
<rect x="130" y="{top}" width="{width:.1}" height="{BAR_HEIGHT}" fill="{color}"/>
<text x="{:.1}" y="{y}">{shown}</text>"#,
                136.0 + width
            )
            .expect("a String takes all");
        }
    }
    let height = y + 20.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"
 font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
{body}</svg>
"#
    )
}

fn groups(outcome: &Outcome) -> Vec<Group> {
    let mut groups = Vec::new();
    for load in &outcome.loads {
        let ops = load.lines.iter().map(|line| {
            let value = line.ops_per_second[0];
            (line.server.clone(), value, format!("{value:.0}/s"))
        });
        groups
            .push(Group { title: format!("{}: more is better", load.title), bars: ops.collect() });
        let p99 = load
            .lines
            .iter()
            .map(|line| (line.server.clone(), line.p99_us, format!("{:.0} us", line.p99_us)));
        groups.push(Group {
            title: format!("{}, p99: less is better", load.title),
            bars: p99.collect(),
        });
    }
    let resident = outcome.sizes.iter().map(|size| {
        let bytes = size.resident_bytes[1];
        (size.server.clone(), approximate(bytes), format!("{} MiB", bytes >> 20))
    });
    groups.push(Group {
        title: "memory with all znodes: less is better".into(),
        bars: resident.collect(),
    });
    let restart = outcome
        .sizes
        .iter()
        .map(|size| (size.server.clone(), size.restart(), format!("{:.2} s", size.restart())));
    groups.push(Group {
        title: "restart with all znodes: less is better".into(),
        bars: restart.collect(),
    });
    groups
}
