//! The four-letter words, field by field: programs take these texts apart, so keys, their order
//! and the formats of their values must be Apache's, and the counts after the same conversation.
//! Each expectation was seen on Apache ZooKeeper 3.9.5: `BENCH_SERVER=apache` runs the same cases
//! against it.

mod counts;
mod shape;
mod shapes;
mod talk;

use ringkeeper_bench::{cases, tour};

fn main() -> std::process::ExitCode {
    tour::main(&cases![
        shapes::conf,
        shapes::cons,
        shapes::crst,
        shapes::dirs,
        shapes::dump,
        shapes::envi,
        shapes::gtmk_and_stmk,
        shapes::hash,
        shapes::isro,
        shapes::mntr,
        shapes::mntr_of_a_fresh_server,
        shapes::ruok,
        shapes::srst,
        shapes::srvr,
        shapes::stat,
        shapes::wchc,
        shapes::wchp,
        shapes::wchs,
        shapes::an_unknown_word,
        shapes::a_word_that_is_not_listed,
        counts::srvr_counts_packets_and_znodes,
        counts::long_texts_are_several_packets,
        counts::cons_knows_each_connection,
        counts::cons_after_a_refused_write,
        counts::cons_of_a_session_that_came_back,
        counts::cons_starts_anew_with_crst,
        counts::mntr_gauges,
        counts::mntr_counters,
        counts::mntr_summaries,
        counts::mntr_namespaces,
        counts::mntr_quotas,
        counts::mntr_starts_anew_with_srst,
        counts::connections_that_break_are_counted,
        counts::sessions_that_expire_are_counted,
    ])
}
