//! The session timeout that a client gets for the one that it asks for.

use ringkeeper_bench::{
    servers::Settings,
    tour::Tour,
    wire::{Connect, Connection, Failure},
};

/// Asks around both limits.
fn check(tour: &Tour, settings: Settings, min: i32, max: i32) -> Result<(), Failure> {
    let server = tour.private(settings)?;
    for asked in [i32::MIN, -1, 0, 1, min - 1, min, min + 1, max - 1, max, max + 1, i32::MAX] {
        let connect = Connect { timeout_ms: asked, ..Connect::default() };
        let client = Connection::open(server.address(), &connect)?;
        assert_eq!(client.session.timeout_ms, asked.clamp(min, max), "asked for {asked}");
        // The same when a session is taken up again.
        let resume = Connect { timeout_ms: asked, ..Connect::resume(&client.session) };
        let again = Connection::open(server.address(), &resume)?;
        assert_eq!(again.session.timeout_ms, asked.clamp(min, max), "asked again for {asked}");
        again.close()?.ok()?;
    }
    Ok(())
}

pub(crate) fn the_limits_are_two_and_twenty_ticks(tour: &Tour) -> Result<(), Failure> {
    check(tour, Settings::new(), 6000, 60_000)?;
    check(tour, Settings::new().line("tickTime", "700"), 1400, 14_000)
}

pub(crate) fn both_limits_can_be_set(tour: &Tour) -> Result<(), Failure> {
    let settings =
        Settings::new().line("minSessionTimeout", "2500").line("maxSessionTimeout", "7777");
    check(tour, settings, 2500, 7777)
}

pub(crate) fn one_limit_can_be_set(tour: &Tour) -> Result<(), Failure> {
    let settings = Settings::new().line("tickTime", "1000").line("minSessionTimeout", "3000");
    check(tour, settings, 3000, 20_000)?;
    let settings = Settings::new().line("tickTime", "1000").line("maxSessionTimeout", "9000");
    check(tour, settings, 2000, 9000)?;
    let settings = Settings::new().line("minSessionTimeout", "-1").line("maxSessionTimeout", "-1");
    check(tour, settings, 6000, 60_000)
}
